import imagecodecs
import numpy as np

from bfly.encoders.zstd import Zstd
from bfly.testing.encoders import EncoderSuite


class TestZstd(EncoderSuite):
    encoder = Zstd
    media_type = "application/zstd"

    def decode(self, data, shape, dtype):
        return np.frombuffer(imagecodecs.zstd_decode(data), dtype).reshape(shape)


def test_a_frame_says_how_long_its_content_is():
    # zarr-python before 3.1 does not read frames that do not.
    frame = Zstd().encode(np.zeros((64, 64, 64), np.uint64))
    assert frame[:4] == b"\x28\xb5\x2f\xfd"
    single_segment, size_flag = frame[4] >> 5 & 1, frame[4] >> 6
    assert single_segment or size_flag
