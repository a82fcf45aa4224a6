import gzip

import numpy as np

from bfly.encoders.gzip import Gzip
from bfly.testing.encoders import EncoderSuite


class TestGzip(EncoderSuite):
    encoder = Gzip
    media_type = "application/octet-stream"

    def decode(self, data, shape, dtype):
        return np.frombuffer(gzip.decompress(data), dtype).reshape(shape)
