import io

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from bfly.encoders.tiff import Tiff, TiffStack
from bfly.encoders.views import render
from bfly.errors import BadRequest
from bfly.testing.encoders import EncoderSuite


class TestTiffStack(EncoderSuite):
    encoder = TiffStack
    media_type = "image/tiff"

    def decode(self, data, shape, dtype):
        with tifffile.TiffFile(io.BytesIO(data)) as tiff:
            return np.stack([page.asarray().reshape(shape[1:]) for page in tiff.pages])

    def expected(self, voxels, view, kind):
        return voxels if view == "grayscale" else render(voxels, view, kind)


class TestTiff(TestTiffStack):
    """The sections are one page, in a column."""

    encoder = Tiff

    def decode(self, data, shape, dtype):
        (page,) = super().decode(data, (1, *shape), dtype)
        return page

    def expected(self, voxels, view, kind):
        return np.concatenate(list(super().expected(voxels, view, kind)))


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8"])
@pytest.mark.parametrize("encoder", [Tiff, TiffStack])
def test_signed_samples_are_stated(encoder, dtype):
    limits = np.iinfo(dtype)
    voxels = np.array([[[limits.min, -1, 0, limits.max]]] * 2, dtype)
    data = bytes(encoder().encode(voxels, kind="segmentation"))
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        assert all(page.sampleformat == tifffile.SAMPLEFORMAT.INT for page in tiff.pages)
        np.testing.assert_array_equal(tiff.asarray().ravel(), voxels.ravel())
    np.testing.assert_array_equal(imagecodecs.tiff_decode(data, index=0)[0], voxels[0, 0])


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("view", ["grayscale", "rgb"])
def test_other_decoders_agree(dtype, view):
    voxels = np.arange(3 * 40 * 31).reshape(3, 40, 31).astype(dtype)
    data = bytes(TiffStack().encode(voxels, view=view))
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
    head = next(TiffStack().encode_parts(iter([np.zeros((1, 1, 40_000), "u1")]), shape))
    with tifffile.TiffFile(io.BytesIO(head)) as tiff:
        assert tiff.is_bigtiff
        assert [page.shape for page in tiff.pages] == [(40_000, 40_000)] * 3
        places = [page.dataoffsets[0] for page in tiff.pages]
    assert places == [len(head) + number * 40_000**2 for number in range(3)]
    colours = next(Tiff().encode_parts(iter([np.zeros((1, 1, 40_000), "u1")]), shape, view="rgb"))
    with tifffile.TiffFile(io.BytesIO(colours)) as tiff:
        assert [page.shape for page in tiff.pages] == [(120_000, 40_000, 3)]


def test_more_pages_than_libtiff_counts_are_a_bad_request():
    with pytest.raises(BadRequest, match="depth 65536 makes as many pages"):
        TiffStack().encode(np.zeros((65_536, 1, 1), "u1"))
    most = TiffStack().encode(np.ones((65_535, 1, 1), "u1"))
    assert len(tifffile.TiffFile(io.BytesIO(most)).pages) == 65_535
    assert tifffile.imread(io.BytesIO(Tiff().encode(np.ones((65_536, 1, 1), "u1")))).all()


@pytest.mark.parametrize("shape", [(2, 2**30, 1), (1, 1, 2**31)])
def test_a_page_of_more_rows_than_readers_count_is_a_bad_request(shape):
    with pytest.raises(BadRequest, match="a side of image/tiff has at most 2147483647"):
        Tiff().check(shape, np.dtype("u1"))
