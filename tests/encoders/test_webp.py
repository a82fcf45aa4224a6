import imagecodecs
import numpy as np
import pytest

from bfly.encoders.webp import WebP
from bfly.errors import BadRequest
from bfly.testing.encoders import SheetSuite


class TestWebP(SheetSuite):
    encoder = WebP
    media_type = "image/webp"
    tolerance = 6

    def decode(self, data, shape, dtype):
        found = imagecodecs.webp_decode(data)
        return found.reshape(shape) if shape[-1] == 3 and len(shape) == 3 else found[..., 0]


def test_more_pixels_than_are_held_at_once_are_a_bad_request():
    endless = np.broadcast_to(np.uint8(0), (1, 16_000, 16_000))
    with pytest.raises(BadRequest, match="256000000 pixels; image/webp is written up to 100000000"):
        WebP().encode(endless)


def test_it_is_lossy_as_documented():
    noise = np.random.default_rng(0).integers(0, 256, (1, 200, 200), np.uint8)
    data = WebP().encode(noise)
    assert len(data) < noise.size
    assert not np.array_equal(imagecodecs.webp_decode(data)[..., 0], noise[0])
