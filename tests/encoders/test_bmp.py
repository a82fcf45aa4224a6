import io
import struct

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from bfly.encoders.bmp import Bmp
from bfly.encoders.views import render
from bfly.errors import BadRequest
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


@pytest.mark.parametrize("width", [1, 2, 3, 4, 1001])
@pytest.mark.parametrize("view", ["grayscale", "colormap"])
def test_two_decoders_agree(width, view):
    voxels = np.arange(1100 * width, dtype=np.uint8).reshape(1, 1100, width)
    data = bytes(Bmp().encode(voxels, view=view))
    expected = render(voxels, view, "image")[0]
    np.testing.assert_array_equal(imagecodecs.bmp_decode(data), expected)
    np.testing.assert_array_equal(Image.open(io.BytesIO(data)), expected)


def test_more_than_the_header_counts_is_a_bad_request():
    with pytest.raises(BadRequest, match=r"makes 4294967350 bytes of image/bmp"):
        Bmp().encode(np.broadcast_to(np.uint8(0), (1, 2**30, 1)), view="rgb")
