import imagecodecs

from bfly.encoders.webp import WebP
from bfly.testing.encoders import SheetSuite


class TestWebP(SheetSuite):
    encoder = WebP
    media_type = "image/webp"
    tolerance = 6

    def decode(self, data, shape, dtype):
        found = imagecodecs.webp_decode(data)
        return found.reshape(shape) if shape[-1] == 3 and len(shape) == 3 else found[..., 0]
