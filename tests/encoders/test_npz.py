import io
import zlib

import numpy as np

from bfly.encoders.npz import Npz
from bfly.testing.encoders import EncoderSuite


class TestNpz(EncoderSuite):
    encoder = Npz
    media_type = "application/octet-stream"

    def decode(self, data, shape, dtype):
        array = np.load(io.BytesIO(zlib.decompress(data)))
        assert array.shape == (1, *shape)
        return array[0]
