import io
import zlib

import numpy as np

from bfly.encoders.npygz import Npygz
from bfly.testing.encoders import EncoderSuite


class TestNpygz(EncoderSuite):
    encoder = Npygz
    media_type = "application/npygz"

    def decode(self, data, shape, dtype):
        return np.load(io.BytesIO(zlib.decompress(data)))
