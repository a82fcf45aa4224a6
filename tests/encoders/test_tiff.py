import io

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from bfly.encoders.tiff import Tiff
from bfly.encoders.views import render
from bfly.errors import BadRequest
from bfly.testing.encoders import EncoderSuite


class TestTiff(EncoderSuite):
    encoder = Tiff
    media_type = "image/tiff"

    def decode(self, data, shape, dtype):
        with tifffile.TiffFile(io.BytesIO(data)) as tiff:
            return np.stack([page.asarray().reshape(shape[1:]) for page in tiff.pages])

    def expected(self, voxels, view, kind):
        return voxels if view == "grayscale" else render(voxels, view, kind)


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("view", ["grayscale", "rgb"])
def test_other_decoders_agree(dtype, view):
    voxels = np.arange(3 * 40 * 31).reshape(3, 40, 31).astype(dtype)
    data = bytes(Tiff().encode(voxels, view=view))
    expected = voxels if view == "grayscale" else render(voxels, view, "image")
    picture = Image.open(io.BytesIO(data))
    assert picture.n_frames == 3
    for number, page in enumerate(expected):
        picture.seek(number)
        np.testing.assert_array_equal(np.asarray(picture), page)
        np.testing.assert_array_equal(imagecodecs.tiff_decode(data, index=number), page)


def test_it_is_a_bigtiff_from_4_gib_on():
    """Only its head is made: the pixels follow."""
    shape = (3, 40_000, 40_000)
    head = next(Tiff().encode_parts(iter([np.zeros((1, 1, 40_000), "u1")]), shape))
    with tifffile.TiffFile(io.BytesIO(head)) as tiff:
        assert tiff.is_bigtiff
        assert [page.shape for page in tiff.pages] == [(40_000, 40_000)] * 3
        places = [page.dataoffsets[0] for page in tiff.pages]
    assert places == [len(head) + number * 40_000**2 for number in range(3)]
    colours = next(Tiff().encode_parts(iter([np.zeros((1, 1, 40_000), "u1")]), shape, view="rgb"))
    with tifffile.TiffFile(io.BytesIO(colours)) as tiff:
        assert tiff.pages[2].shape == (40_000, 40_000, 3)


def test_more_pages_than_libtiff_counts_are_a_bad_request():
    with pytest.raises(BadRequest, match="depth 65536 makes as many pages"):
        Tiff().encode(np.zeros((65_536, 1, 1), "u1"))
    assert len(tifffile.TiffFile(io.BytesIO(Tiff().encode(np.ones((65_535, 1, 1), "u1")))).pages)
