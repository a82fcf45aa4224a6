import imagecodecs
import numpy as np
import pytest

from bfly.encoders.lz4 import LARGEST, Lz4
from bfly.errors import BadRequest
from bfly.testing.encoders import EncoderSuite


class TestLz4(EncoderSuite):
    encoder = Lz4
    media_type = "application/octet-stream"

    def decode(self, data, shape, dtype):
        size = int(np.prod(shape)) * dtype.itemsize
        voxels = imagecodecs.lz4_decode(bytes(data), out=size)
        return np.frombuffer(voxels, dtype).reshape(shape)


def test_the_largest_block():
    Lz4().check((1, 1, LARGEST), np.dtype("u1"))
    with pytest.raises(BadRequest, match="lz4 holds at most"):
        Lz4().check((1, 1, LARGEST + 1), np.dtype("u1"))
