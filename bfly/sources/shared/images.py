"""Image files: PNG, JPEG and TIFF, recognised by their first bytes, one value a pixel.

The rule for colours, the same in all three formats:

- alpha, and whatever else comes beside grey or RGB, is dropped;
- in an image, RGB becomes its luminance, ``(77 R + 150 G + 29 B + 128) >> 8``, which are the
  weights of ITU-R BT.601 in 256ths and leaves greys exactly as they are;
- in a segmentation, RGB is the id ``R + 256 G + 65536 B``;
- a palette stands for its colours;
- grey of less than 8 bits is stretched to 0 … 255;
- other grey is taken as stored (see `bfly.sources.source.served_dtype`).
"""

from __future__ import annotations

import io
import itertools
import math
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import imagecodecs
import numpy as np
import simplejpeg
import tifffile

from bfly.errors import ButterflyError, SourceError
from bfly.geometry import Zyx, zyx
from bfly.sources.shared.image_sizes import stated
from bfly.sources.shared.tiff_pages import (
    MAGICS,
    check_chain,
    check_packed,
    check_page,
    is_palette,
    samples_of,
)
from bfly.sources.source import served_dtype
from bfly.storage.limits import CHUNK, check_chunk, check_length

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

__all__ = ["EXTENSIONS", "decode", "header", "is_grey_jpeg", "is_image", "naming", "one_value"]

EXTENSIONS = ("jpeg", "jpg", "png", "tif", "tiff")
"""How the names of image files end, without the dot, in lower case."""


BAND = 1 << 22
"""Pixels that are turned into values at once: wider numbers are needed on the way."""


class _Look(NamedTuple):
    """What a file says of itself: pages, height, width; samples without alpha; their dtype."""

    shape: Zyx
    samples: int
    dtype: np.dtype[Any]


def is_image(head: bytes) -> bool:
    """Tell from the first 8 bytes of a file whether it is an image that can be decoded."""
    return head.startswith(tuple(_FORMATS))


def decode(data: bytes, path: str, *, labels: bool, limit: int = CHUNK) -> NDArray[Any]:
    """Decode an image file.

    Parameters
    ----------
    data : bytes
        The whole file.
    path : str
        Names the file in messages.
    labels : bool
        Whether the channel is a segmentation; decides what RGB stands for.
    limit : int
        Bytes that a decoder may take.

    Returns
    -------
    numpy.ndarray
        Shape (pages, height, width), C order, a dtype of `served_dtype`. Only TIFF has
        more than one page.

    Raises
    ------
    SourceError
        The file is damaged, cut short, or none of the formats.
    Oversized
        By its header it would take more than the limit; nothing was decoded.
    """
    with naming(path):
        form = _format(data)
        _check(form, data, path, limit)
        return one_value(form.pixels(data), path, labels)


def header(
    data: bytes, path: str, *, labels: bool, limit: int = CHUNK
) -> tuple[Zyx, np.dtype[Any]]:
    """Give the shape and dtype that `decode` would give, without decoding the pixels."""
    with naming(path):
        form = _format(data)
        look = _check(form, data, path, limit)
        pixel = np.zeros((1, 1, 1, look.samples), look.dtype)
        return look.shape, one_value(pixel, path, labels).dtype


def _check(form: _Format, data: bytes, path: str, limit: int) -> _Look:
    """Refuse an image that takes too much memory to decode; return what it says of itself."""
    look = form.look(data, path, limit)
    check_chunk(path, "an image", look.shape, look.samples * look.dtype.itemsize, limit)
    found = stated(data)
    if found is not None:
        check_chunk(path, "an image", found[:2], found.depth, limit)
    return look


def is_grey_jpeg(data: bytes, shape: tuple[int, int]) -> bool:
    """Tell whether a file is a JPEG that anyone shows as `decode` gives it, without decoding it.

    Parameters
    ----------
    data : bytes
        The whole file. It has to end as a JPEG does, for one that was cut short does not, and
        to hold no Exif, which may have browsers turn the picture.
    shape : tuple of int
        Rows and columns.
    """
    start, end = b"\xff\xd8\xff", b"\xff\xd9"
    if not (data.startswith(start) and data.endswith(end)) or b"Exif\0\0" in data:
        return False
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return False
    return colours == "Gray" and (height, width) == shape


def one_value(pixels: NDArray[Any], path: str, labels: bool) -> NDArray[Any]:
    """Turn pixels of 1 or 3 samples into one value each, by the module's rule.

    Parameters
    ----------
    pixels : numpy.ndarray
        Shape (pages, height, width, samples).
    path : str
        Names the file in messages.
    labels : bool
        Whether RGB stands for an id.

    Returns
    -------
    numpy.ndarray
        Shape (pages, height, width), a dtype of `served_dtype`.

    Raises
    ------
    SourceError, ValueError
        Their dtype cannot be served.
    """
    if pixels.shape[3] == 1:
        return np.ascontiguousarray(pixels[..., 0], served_dtype(pixels.dtype, path))
    size, allowed = pixels.dtype.itemsize, (1,) if labels else (1, 2)
    if pixels.dtype.kind != "u" or size not in allowed:
        raise ValueError(
            f"its colours are {pixels.dtype}; allowed are unsigned integers of "
            f"{' or '.join(str(8 * each) for each in allowed)} bits"
        )
    served = np.dtype("<u4") if labels else served_dtype(pixels.dtype, path)
    values = np.empty(pixels.shape[:3], served)
    rows = max(1, BAND // max(1, pixels.shape[2]))
    for page, at in itertools.product(range(len(pixels)), range(0, pixels.shape[1], rows)):
        band = page, slice(at, at + rows)
        values[band] = _mixed(pixels[band], labels)
    return values


def _mixed(pixels: NDArray[Any], labels: bool) -> NDArray[Any]:
    """Turn RGB along the last axis into ids, or into luminance."""
    red, green, blue = (pixels[..., sample] for sample in range(3))
    wide = "<u4" if labels else f"<u{2 * pixels.dtype.itemsize}"
    weights = (1, 256, 65_536) if labels else (77, 150, 29)
    total: NDArray[Any] = np.multiply(red, weights[0], dtype=wide)
    total += np.multiply(green, weights[1], dtype=wide)
    total += np.multiply(blue, weights[2], dtype=wide)
    return total if labels else (total + 128) >> 8


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Turn whatever a decoder raises on damaged bytes into a `SourceError` that names the file."""
    try:
        yield
    except (ButterflyError, MemoryError):
        raise
    except Exception as error:
        reason = str(error).rstrip(".") or type(error).__name__
        raise SourceError(f"{path} cannot be decoded: {reason}.") from error


def _png_look(data: bytes, _path: str, _limit: int) -> _Look:
    """Read the IHDR chunk (PNG specification, 11.2.2)."""
    width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    grey = colour in (0, 4)
    return _Look((1, height, width), 1 if grey else 3, np.dtype("<u2" if depth == 16 else "u1"))


def _png_pixels(data: bytes) -> NDArray[Any]:
    pixels: NDArray[Any] = imagecodecs.png_decode(data)
    if pixels.ndim == 2:
        return pixels[np.newaxis, ..., np.newaxis]
    return pixels[np.newaxis, ..., : 1 if pixels.shape[2] == 2 else 3]


def _jpeg_look(data: bytes, _path: str, _limit: int) -> _Look:
    height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    if colours in ("CMYK", "YCCK"):
        raise ValueError(f"its colours are {colours}; allowed are grey and RGB")
    return _Look((1, height, width), 1 if colours == "Gray" else 3, np.dtype("u1"))


def _jpeg_pixels(data: bytes) -> NDArray[Any]:
    # imagecodecs passes over libjpeg's warnings: half a file would be half an image and grey
    grey = simplejpeg.decode_jpeg_header(data)[2] == "Gray"
    pixels: NDArray[Any] = simplejpeg.decode_jpeg(data, "GRAY" if grey else "RGB", strict=True)
    return pixels[np.newaxis]


def _tiff_pages(tiff: tifffile.TiffFile, path: str, limit: int) -> list[tifffile.TiffPage]:
    """Give the pages at full size, all of a kind that can be served."""
    check_chain(tiff, path)
    pages = [page for page in tiff.pages if not page.is_reduced]
    if not pages:
        raise ValueError("it has no page at full size")
    for page in pages:
        check_page(page, path, limit)
    return pages


def _tiff_look(data: bytes, path: str, limit: int) -> _Look:
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        pages = _tiff_pages(tiff, path, limit)
        size = sum(math.prod(each.shaped) * each.dtype.itemsize for each in pages)
        check_length(f"{path}: what it unpacks to", size, limit)
        for each in pages:
            for at, size in zip(each.dataoffsets, each.databytecounts, strict=False):
                if size:
                    check_packed(each, data[at : at + size], path, limit)
        page = pages[0]
        shape = zyx((len(pages) * page.imagedepth, page.imagelength, page.imagewidth))
        if is_palette(page):
            return _Look(shape, 3, np.dtype("u1"))
        return _Look(shape, page.samplesperpixel - len(page.extrasamples), page.dtype)


def _tiff_pixels(data: bytes) -> NDArray[Any]:
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        pages = [page for page in tiff.pages if not page.is_reduced]
        return np.concatenate([_tiff_page(page, len(data)) for page in pages])


def _tiff_page(page: tifffile.TiffPage, size: int) -> NDArray[Any]:
    """Decode a page as (depth, height, width, 1 or 3 samples) of a file of `size` bytes."""
    if not page.is_contiguous:
        # tifffile decodes what is left of a strip or tile, and leaves out the missing ones
        ends = [a + n for a, n in zip(page.dataoffsets, page.databytecounts, strict=True)]
        if len(ends) != math.prod(page.chunked) or max(ends) > size:
            raise ValueError("it is truncated")
    # shaped: (separate samples, depth, height, width, contiguous samples)
    stored: NDArray[Any] = page.asarray(maxworkers=1).reshape(page.shaped)
    pixels = np.moveaxis(stored, 0, 4).reshape((*page.shaped[1:4], -1))
    return samples_of(page, pixels)


class _Format(NamedTuple):
    look: Callable[[bytes, str, int], _Look]
    pixels: Callable[[bytes], NDArray[Any]]


_TIFF = _Format(_tiff_look, _tiff_pixels)

_FORMATS = {
    b"\x89PNG\r\n\x1a\n": _Format(_png_look, _png_pixels),
    b"\xff\xd8\xff": _Format(_jpeg_look, _jpeg_pixels),
    **dict.fromkeys(MAGICS, _TIFF),
}


def _format(data: bytes) -> _Format:
    for magic, form in _FORMATS.items():
        if data.startswith(magic):
            return form
    raise ValueError("it is neither PNG nor JPEG nor TIFF")
