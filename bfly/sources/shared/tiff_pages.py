"""Pages of TIFF: which of them can be served, and what their samples mean."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
import tifffile

from bfly.sources.shared.image_sizes import stated
from bfly.storage.limits import PAGES, check_chunk, check_number

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

__all__ = [
    "MAGICS",
    "check_chain",
    "check_page",
    "check_packed",
    "is_palette",
    "is_written",
    "samples_of",
]

IMAGES = {
    "OJPEG",
    "JPEG",
    "ALT_JPEG",
    "JPEG_LOSSY",
    "JPEG_99",
    "JPEGXR",
    "JPEGXR_NDPI",
    "JPEG2000",
    "JPEG_2000_LOSSY",
    "APERIO_JP2000_YCBC",
    "APERIO_JP2000_RGB",
    "JPEGXL",
    "JPEGXL_DNG",
    "PNG",
    "WEBP",
    "WEBP_DEPRECATED",
    "LERC",
}
"""Compressions, by tifffile's names, with data that state the number of pixels."""

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""First bytes of TIFF and BigTIFF files, in both byte orders."""


def check_chain(tiff: tifffile.TiffFile, path: str) -> None:
    """Raise `ValueError` if pages or their SubIFDs are cut off, which tifffile only logs.

    Raises
    ------
    Oversized
        There are too many pages; they are counted before any is read.
    """
    _check_count(tiff, path)
    form, last, file = tiff.tiff, tiff.pages[-1], tiff.filehandle
    file.seek(last.offset)
    (tags,) = struct.unpack(form.tagnoformat, file.read(form.tagnosize))
    file.seek(last.offset + form.tagnosize + tags * form.tagsize)
    end = file.read(form.offsetsize)
    broken = len(end) < form.offsetsize or struct.unpack(form.offsetformat, end) != (0,)
    if broken or any(at >= file.size for at in tiff.pages[0].subifds or ()):
        raise ValueError("it is truncated")


def _check_count(tiff: tifffile.TiffFile, path: str) -> None:
    form, file = tiff.tiff, tiff.filehandle
    at, seen = tiff.pages[0].offset, set[int]()
    # tifffile itself stops at a cycle of pages.
    while at and len(seen) <= PAGES and at < file.size and at not in seen:
        seen.add(at)
        file.seek(at)
        (tags,) = struct.unpack(form.tagnoformat, file.read(form.tagnosize))
        file.seek(at + form.tagnosize + tags * form.tagsize)
        end = file.read(form.offsetsize)
        if len(end) < form.offsetsize:
            return
        (at,) = struct.unpack(form.offsetformat, end)
    check_number(path, len(seen), PAGES, "pages")


def check_packed(page: tifffile.TiffPage, data: bytes, what: str, limit: int) -> None:
    """Raise if the header of a strip or tile states more than a limit to decode.

    Raises
    ------
    Oversized
        It states more.
    ValueError
        Its size cannot be read.
    """
    if tifffile.COMPRESSION(page.compression).name in IMAGES:
        size = stated(data)
        if size is None:
            raise ValueError("its number of pixels cannot be determined")
        check_chunk(what, "an image", size[:2], size.depth, limit)


def check_page(page: tifffile.TiffPage, path: str, limit: int) -> None:
    """Raise `ValueError` if the samples of a page cannot be served as one value a pixel.

    Raises
    ------
    Oversized
        A strip or tile decompresses to more than a limit.
    """
    if page.dtype is not None and not page.is_contiguous:
        check_chunk(path, "a strip or tile", page.chunks, page.dtype.itemsize, limit)
    kind = tifffile.PHOTOMETRIC(page.photometric)
    as_rgb = page.compression == tifffile.COMPRESSION.JPEG
    if kind.name not in ("MINISBLACK", "MINISWHITE", "PALETTE", "RGB") and not (
        kind.name == "YCBCR" and as_rgb
    ):
        raise ValueError(f"its colours are {kind.name}; allowed are grey, palette and RGB")
    if page.dtype is None:
        raise ValueError(f"its samples have {page.bitspersample} bits")


def is_written(at: int, size: int, number: int) -> bool:
    """Return whether a strip or tile was written: one that was not is at byte 0 and has no bytes.

    Raises
    ------
    ValueError
        It has a position or a size, but not both. At byte 0 is the header of the file.
    """
    if bool(at) != bool(size):
        raise ValueError(
            f"strip or tile {number} at byte {at} has {size} bytes: it was not written completely"
        )
    return bool(at)


def is_palette(page: tifffile.TiffPage) -> bool:
    """Return whether samples are indices into a colour table."""
    return bool(page.photometric == tifffile.PHOTOMETRIC.PALETTE)


def samples_of(page: tifffile.TiffPage, stored: NDArray[Any]) -> NDArray[Any]:
    """Return the samples of pixels without alpha: grey or RGB.

    Parameters
    ----------
    page : tifffile.TiffPage
        Page that describes the stored samples.
    stored : numpy.ndarray
        Pixels along any number of axes, and their samples along the last one.

    Returns
    -------
    numpy.ndarray
        The same pixels, with 1 or 3 samples.
    """
    if is_palette(page):
        colours = (page.colormap >> 8).astype("u1").T
        pixels: NDArray[Any] = colours[stored[..., 0]]
        return pixels
    if page.bitspersample < 8:
        stored = stored.astype("u1") * np.uint8(255 // (2**page.bitspersample - 1))
    samples: NDArray[Any] = stored[..., : page.samplesperpixel - len(page.extrasamples)]
    return samples
