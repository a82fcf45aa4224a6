import numpy as np

from bfly.encoders.raw import Raw
from bfly.testing.encoders import EncoderSuite


class TestRaw(EncoderSuite):
    encoder = Raw
    media_type = "application/octet-stream"

    def decode(self, data, shape, dtype):
        return np.frombuffer(data, dtype).reshape(shape)


def test_the_bytes_are_the_cutouts_own_memory():
    voxels = np.zeros((2, 3, 4), np.uint32)
    encoded = Raw().encode(voxels)
    voxels[1, 2, 3] = 0x04030201
    assert encoded.nbytes == len(encoded) == 96
    assert bytes(encoded[-4:]) == b"\x01\x02\x03\x04"


def test_an_empty_array_has_no_bytes():
    assert bytes(Raw().encode(np.zeros((0, 3, 4), np.uint32))) == b""
