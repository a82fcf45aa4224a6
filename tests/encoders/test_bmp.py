import struct

import numpy as np

from bfly.encoders.bmp import Bmp
from bfly.testing.encoders import SheetSuite


class TestBmp(SheetSuite):
    encoder = Bmp
    media_type = "image/bmp"

    def decode(self, data, shape, dtype):
        """Follow BITMAPFILEHEADER and BITMAPINFOHEADER: rows bottom first, padded to 4 bytes."""
        magic, size, start = struct.unpack_from("<2sI4xI", data)
        assert (magic, size) == (b"BM", len(data))
        width, height, planes, bits, compression = struct.unpack_from("<iiHHI", data, 18)
        assert (planes, compression) == (1, 0)
        stride = (width * bits // 8 + 3) // 4 * 4
        rows = np.frombuffer(data, np.uint8, height * stride, start).reshape(height, stride)
        pixels = rows[::-1, : width * bits // 8].reshape(height, width, -1)
        if bits == 24:
            return pixels[..., ::-1]
        palette = np.frombuffer(data, np.uint8, 1024, 54).reshape(256, 4)
        np.testing.assert_array_equal(palette[:, :3], np.arange(256)[:, None].repeat(3, 1))
        return pixels[..., 0]
