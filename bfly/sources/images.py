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
from bfly.sources.source import served_dtype
from bfly.sources.tiff_pages import MAGICS, check_chain, check_page, is_palette, samples_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

__all__ = ["EXTENSIONS", "decode", "header", "is_grey_jpeg", "is_image", "naming", "one_value"]

EXTENSIONS = ("jpeg", "jpg", "png", "tif", "tiff")
"""How the names of image files end, without the dot, in lower case."""


class _Look(NamedTuple):
    """What a file says of itself: pages, height, width; samples without alpha; their dtype."""

    shape: Zyx
    samples: int
    dtype: np.dtype[Any]


def is_image(head: bytes) -> bool:
    """Tell from the first 8 bytes of a file whether it is an image that can be decoded."""
    return head.startswith(tuple(_FORMATS))


def decode(data: bytes, path: str, *, labels: bool) -> NDArray[Any]:
    """Decode an image file.

    Parameters
    ----------
    data : bytes
        The whole file.
    path : str
        Names the file in messages.
    labels : bool
        Whether the channel is a segmentation; decides what RGB stands for.

    Returns
    -------
    numpy.ndarray
        Shape (pages, height, width), C order, a dtype of `served_dtype`. Only TIFF has
        more than one page.

    Raises
    ------
    SourceError
        The file is damaged, cut short, or none of the formats.
    """
    with naming(path):
        return one_value(_format(data).pixels(data), path, labels)


def header(data: bytes, path: str, *, labels: bool) -> tuple[Zyx, np.dtype[Any]]:
    """Give the shape and dtype that `decode` would give, without decoding the pixels."""
    with naming(path):
        look = _format(data).look(data)
        pixel = np.zeros((1, 1, 1, look.samples), look.dtype)
        return look.shape, one_value(pixel, path, labels).dtype


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
    red, green, blue = (pixels[..., sample] for sample in range(3))
    size, allowed = pixels.dtype.itemsize, (1,) if labels else (1, 2)
    if pixels.dtype.kind != "u" or size not in allowed:
        raise ValueError(
            f"its colours are {pixels.dtype}; allowed are unsigned integers of "
            f"{' or '.join(str(8 * each) for each in allowed)} bits"
        )
    weights, wide = ((1, 256, 65_536), "<u4") if labels else ((77, 150, 29), f"<u{2 * size}")
    total: NDArray[Any] = np.multiply(red, weights[0], dtype=wide)
    total += np.multiply(green, weights[1], dtype=wide)
    total += np.multiply(blue, weights[2], dtype=wide)
    if labels:
        return total
    total += 128
    total >>= 8
    return total.astype(served_dtype(pixels.dtype, path))


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Turn whatever a decoder raises on damaged bytes into a `SourceError` that names the file."""
    try:
        yield
    except ButterflyError:
        raise
    except Exception as error:
        raise SourceError(f"{path} cannot be decoded: {str(error).rstrip('.')}.") from error


def _png_look(data: bytes) -> _Look:
    """Read the IHDR chunk (PNG specification, 11.2.2)."""
    width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    grey = colour in (0, 4)
    return _Look((1, height, width), 1 if grey else 3, np.dtype("<u2" if depth == 16 else "u1"))


def _png_pixels(data: bytes) -> NDArray[Any]:
    pixels: NDArray[Any] = imagecodecs.png_decode(data)
    if pixels.ndim == 2:
        return pixels[np.newaxis, ..., np.newaxis]
    return pixels[np.newaxis, ..., : 1 if pixels.shape[2] == 2 else 3]


def _jpeg_look(data: bytes) -> _Look:
    height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    if colours in ("CMYK", "YCCK"):
        raise ValueError(f"its colours are {colours}; allowed are grey and RGB")
    return _Look((1, height, width), 1 if colours == "Gray" else 3, np.dtype("u1"))


def _jpeg_pixels(data: bytes) -> NDArray[Any]:
    # imagecodecs passes over libjpeg's warnings: half a file would be half an image and grey
    colours = "GRAY" if _jpeg_look(data).samples == 1 else "RGB"
    pixels: NDArray[Any] = simplejpeg.decode_jpeg(data, colours, strict=True)
    return pixels[np.newaxis]


def _tiff_pages(tiff: tifffile.TiffFile) -> list[tifffile.TiffPage]:
    """Give the pages at full size, all of a kind that can be served."""
    check_chain(tiff)
    pages = [page for page in tiff.pages if not page.is_reduced]
    if not pages:
        raise ValueError("it has no page at full size")
    for page in pages:
        check_page(page)
    return pages


def _tiff_look(data: bytes) -> _Look:
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        pages = _tiff_pages(tiff)
        page = pages[0]
        shape = zyx((len(pages) * page.imagedepth, page.imagelength, page.imagewidth))
        if is_palette(page):
            return _Look(shape, 3, np.dtype("u1"))
        return _Look(shape, page.samplesperpixel - len(page.extrasamples), page.dtype)


def _tiff_pixels(data: bytes) -> NDArray[Any]:
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        return np.concatenate([_tiff_page(page, len(data)) for page in _tiff_pages(tiff)])


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
    look: Callable[[bytes], _Look]
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
