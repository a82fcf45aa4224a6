"""TIFF as an image file: all its pages, decoded at once."""

from __future__ import annotations

import io
import itertools
import math
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np
import tifffile

from bfly.geometry import Zyx, zyx
from bfly.sources.shared.axes import parts_along
from bfly.sources.shared.tiff_pages import (
    check_chain,
    check_packed,
    check_page,
    count_grey,
    is_palette,
    is_section,
    is_written,
    kind_of_page,
    name_of,
    remarks,
    sample_of,
    samples_of,
)
from bfly.storage.limits import check_length
from bfly.storage.part import WHOLE, Part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["FirstPage", "Look", "first_page", "sample_parts", "tiff_look", "tiff_pixels"]


SEARCHED = 16
"""Pages that are searched for a section: smaller copies and masks come behind it."""


class Look(NamedTuple):
    """Header of a file: pages, height, width; samples without alpha; their dtype."""

    shape: Zyx
    samples: int
    dtype: np.dtype[Any]


class FirstPage(NamedTuple):
    """The first page of a TIFF: grey samples of its pixels, whether 0 is white, and remarks."""

    samples: int
    is_inverted: bool
    remarks: list[str]


def first_page(file: IO[bytes]) -> FirstPage:
    """Describe the first page that is a section of an open TIFF; others are not read."""
    with tifffile.TiffFile(file) as tiff:
        first = itertools.islice(tiff.pages, SEARCHED)
        page = next(filter(is_section, first), tiff.pages[0])
        is_inverted = page.photometric == tifffile.PHOTOMETRIC.MINISWHITE
        return FirstPage(count_grey(page), bool(is_inverted), list(remarks(page)))


def sample_parts(samples: int, path: str) -> list[Part]:
    """Return a part for each grey sample of a pixel, as many as a scan lists.

    Parameters
    ----------
    samples : int
        Their number; of one, the part is `WHOLE`.
    path : str
        Name of the file in the log.
    """
    if samples == 1:
        return [WHOLE]
    # Not the first one by default: samples may be sections that a program has put into pixels.
    return [part or Part("", (("s", "0"),)) for part in parts_along({"s": samples}, path)]


def tiff_look(data: bytes, path: str, limit: int, sample: str | None) -> Look:
    """Return the header of a TIFF.

    Parameters
    ----------
    data : bytes
        The whole file.
    path : str
        Name of the file in messages.
    limit : int
        Bytes that a decoder may allocate.
    sample : str, optional
        Index of the grey sample to serve (see `sample_of`).

    Raises
    ------
    Oversized, ValueError
        It takes more memory, or its pages cannot be served.
    """
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        check_chain(tiff, path)
        pages = _pages(tiff)
        for page in pages:
            check_page(page, path, limit)
            sample_of(page, sample, path)
            if kind_of_page(page) != kind_of_page(pages[0]):
                raise ValueError(
                    f"its pages are of several kinds: {name_of(pages[0])}, and {name_of(page)}"
                )
        size = sum(math.prod(page.shaped) * page.dtype.itemsize for page in pages)
        check_length(f"{path}: what it unpacks to", size, limit)
        for page in pages:
            for at, size in zip(page.dataoffsets, page.databytecounts, strict=False):
                if size:
                    check_packed(page, data[at : at + size], path, limit)
        page = pages[0]
        shape = zyx((len(pages) * page.imagedepth, page.imagelength, page.imagewidth))
        pixel = np.zeros((1, 1, 1, page.samplesperpixel), page.dtype)
        stored = np.zeros_like(pixel, "u1") if is_palette(page) else samples_of(page, pixel)
        return Look(shape, 3 if is_palette(page) else stored.shape[3], stored.dtype)


def tiff_pixels(data: bytes, path: str, sample: str | None) -> NDArray[Any]:
    """Decode all pages of a TIFF as (pages, height, width, 1 or 3 samples)."""
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        pages = _pages(tiff)
        chosen = sample_of(pages[0], sample, path)
        return np.concatenate([_page(page, len(data), chosen) for page in pages])


def _pages(tiff: tifffile.TiffFile) -> Sequence[tifffile.TiffPage]:
    """Return the pages that are sections; all of them if none is marked so."""
    return [page for page in tiff.pages if is_section(page)] or list(tiff.pages)


def _page(page: tifffile.TiffPage, size: int, sample: int) -> NDArray[Any]:
    """Decode a page as (depth, height, width, 1 or 3 samples) of a file of `size` bytes."""
    places = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    # The size of contiguous voxels follows from their shape, and some programs state 0.
    if not page.is_contiguous or not page.dataoffsets[0]:
        # tifffile decodes truncated strips and tiles, and skips missing ones
        if len(places) != math.prod(page.chunked) or max(a + n for a, n in places) > size:
            raise ValueError("it is truncated")
        # and takes the header of the file for missing ones that are contiguous
        written = [is_written(*place, number) for number, place in enumerate(places)]
        if not any(written):
            empty = np.zeros((*page.shaped[1:4], page.samplesperpixel), page.dtype)
            return samples_of(page, empty, sample)
    # shaped: (separate samples, depth, height, width, contiguous samples)
    stored: NDArray[Any] = page.asarray(maxworkers=1).reshape(page.shaped)
    pixels = np.moveaxis(stored, 0, 4).reshape((*page.shaped[1:4], -1))
    return samples_of(page, pixels, sample)
