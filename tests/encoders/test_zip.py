import zlib

import numpy as np

from bfly.encoders.zip import Zip
from bfly.testing.encoders import EncoderSuite


class TestZip(EncoderSuite):
    encoder = Zip
    media_type = "application/zip"

    def decode(self, data, shape, dtype):
        return np.frombuffer(zlib.decompress(data), dtype).reshape(shape)
