import blosc
import numpy as np
import pytest

from bfly.encoders.blosc import LARGEST, Blosc, BloscArray
from bfly.errors import BadRequest
from bfly.testing.encoders import EncoderSuite


class TestBlosc(EncoderSuite):
    encoder = Blosc
    media_type = "application/blosc"

    def decode(self, data, shape, dtype):
        return np.frombuffer(blosc.decompress(data), dtype).reshape(shape)


class TestBloscArray(EncoderSuite):
    encoder = BloscArray
    media_type = "application/octet-stream"

    def decode(self, data, shape, dtype):
        array = blosc.unpack_array(data)
        assert array.shape == (1, *shape)
        return array[0]


@pytest.mark.parametrize("encoder", [Blosc, BloscArray])
def test_more_than_a_frame_holds_is_refused(encoder) -> None:
    with pytest.raises(BadRequest, match="Blosc holds at most"):
        encoder().encode(np.broadcast_to(np.uint8(0), (1, 1, LARGEST + 1)))
