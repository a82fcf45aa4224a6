import io

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from bfly.encoders.jpeg import Jpeg
from bfly.encoders.sheet import sheet_of
from bfly.errors import BadRequest
from bfly.testing.encoders import SheetSuite


class TestJpeg(SheetSuite):
    encoder = Jpeg
    media_type = "image/jpeg"
    tolerance = 3

    def decode(self, data, shape, dtype):
        return imagecodecs.jpeg8_decode(data).reshape(shape)


def test_sections_and_rows_are_in_their_places():
    z, y, x = np.indices((3, 32, 40))
    voxels = (60 * z + 2 * y + x).astype(np.uint8)
    found = imagecodecs.jpeg8_decode(Jpeg().encode(voxels)).astype(int)
    assert np.abs(found - voxels.reshape(96, 40)).mean() < 3


@pytest.mark.parametrize("shape", [(1, 65_500, 1), (655, 100, 1), (1, 1, 65_500)])
def test_the_longest_side(shape):
    assert imagecodecs.jpeg8_decode(Jpeg().encode(np.zeros(shape, np.uint8))).size == 65_500


@pytest.mark.parametrize("shape", [(1, 65_501, 1), (656, 100, 1), (1, 1, 65_501)])
def test_a_longer_side_is_a_bad_request(shape):
    with pytest.raises(BadRequest, match=r"a side of image/jpeg has at most 65500"):
        Jpeg().encode(np.zeros(shape, np.uint8))


@pytest.mark.parametrize(
    "shape", [(1, 1501, 1403), (3, 700, 1003), (1, 65_500, 33), (1, 33, 65_500)]
)
@pytest.mark.parametrize("view", ["grayscale", "rgb", "colormap"])
def test_strips_have_the_pixels_of_one_picture(shape, view):
    voxels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    data = bytes(Jpeg().encode(voxels, view=view))
    assert b"\xff\xdd" in data[:1000], "it has restarts"
    whole = Jpeg()._encode_sheet(sheet_of(voxels, view, "image", 8))
    expected = imagecodecs.jpeg8_decode(whole)
    assert np.array_equal(imagecodecs.jpeg8_decode(data), expected)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), Image.open(io.BytesIO(whole)))
