"""Image files, recognised by their first bytes: one value per pixel.

They are PNG, JPEG and TIFF, and those of `bfly.sources.shared.coded_images`. The rule for colours
is the same in all formats:

- alpha, and any other sample beside RGB, is dropped. Of several samples of grey, which only TIFF
  has, each is a volume;
- in an image, RGB becomes its luminance, ``(77 R + 150 G + 29 B + 128) >> 8``. The weights are
  those of ITU-R BT.601 in 256ths; grey stays exactly as it is;
- in a segmentation, RGB is the id ``R + 256 G + 65536 B``;
- palette indices are replaced by their colours;
- grey of less than 8 bits is scaled to 0 … 255;
- other grey is used as stored (see `bfly.sources.voxel_types.served_dtype`), also where 0 is white
  (MinIsWhite of TIFF).
"""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import simplejpeg

from bfly.errors import ButterflyError, SourceError
from bfly.sources.shared.coded_images import CODED, codec_of, coded_look, coded_pixels
from bfly.sources.shared.image_sizes import stated
from bfly.sources.shared.png_and_jpeg import jpeg_look, jpeg_pixels, png_look, png_pixels
from bfly.sources.shared.tiff_images import Look, tiff_look, tiff_pixels
from bfly.sources.shared.tiff_pages import MAGICS
from bfly.sources.voxel_types import as_served, is_converted, served_dtype
from bfly.storage.limits import CHUNK, check_chunk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from bfly.geometry import Zyx

__all__ = [
    "EXTENSIONS",
    "TIFFS",
    "decode",
    "has_colours",
    "header",
    "is_grey_jpeg",
    "is_image",
    "naming",
    "one_value",
    "stored_floats",
]

TIFFS = ("btf", "tf2", "tf8", "tif", "tiff")
"""Extensions of TIFF files, without the dot, in lower case; some are those of BigTIFF only."""

EXTENSIONS = tuple(sorted(["jpeg", "jpg", "png", *TIFFS, *sum(CODED.values(), ())]))
"""Extensions of image files, without the dot, in lower case."""


BAND = 1 << 22
"""Pixels converted at once, which bounds the memory for wider integers."""


def is_image(head: bytes) -> bool:
    """Return whether the first 8 bytes of a file are those of a supported image."""
    return head.startswith(tuple(_FORMATS)) or codec_of(head) is not None


def decode(
    data: bytes, path: str, *, labels: bool, limit: int = CHUNK, sample: str | None = None
) -> NDArray[Any]:
    """Decode an image file.

    Parameters
    ----------
    data : bytes
        The whole file.
    path : str
        Name of the file in messages.
    labels : bool
        Whether the channel is a segmentation; decides what RGB means.
    limit : int
        Bytes that a decoder may allocate.
    sample : str, optional
        Index among several grey samples of a pixel, which only TIFF has.

    Returns
    -------
    numpy.ndarray
        Shape (pages, height, width), C order, a dtype of `served_dtype`. Only TIFF has
        more than one page.

    Raises
    ------
    SourceError
        The file is damaged, truncated, or in none of the formats.
    Oversized
        Its header states more than the limit; nothing was decoded.
    """
    with naming(path):
        form = _format(data)
        if form is _CODED:
            _check_stated(form, data, path, limit, sample)
        else:
            _check(form, data, path, limit, sample)
        return one_value(form.pixels(data, path, sample), path, labels)


def header(
    data: bytes, path: str, *, labels: bool, limit: int = CHUNK, sample: str | None = None
) -> tuple[Zyx, np.dtype[Any]]:
    """Return the shape and dtype of what `decode` returns, by the header if that states them."""
    with naming(path):
        form = _format(data)
        look = _check(form, data, path, limit, sample)
        pixel = np.zeros((1, 1, 1, look.samples), look.dtype)
        return look.shape, one_value(pixel, path, labels).dtype


def stored_floats(
    data: bytes, path: str, limit: int = CHUNK, sample: str | None = None
) -> np.dtype[Any] | None:
    """Return the dtype of floats that `decode` converts; None for other pixels."""
    with naming(path):
        dtype = _check(_format(data), data, path, limit, sample).dtype
    return dtype if is_converted(dtype) else None


def has_colours(data: bytes, path: str, limit: int = CHUNK, sample: str | None = None) -> bool:
    """Return whether pixels are colours, of which `decode` returns the luminance or an id."""
    with naming(path):
        return _check(_format(data), data, path, limit, sample).samples == 3


def _check(form: _Format, data: bytes, path: str, limit: int, sample: str | None) -> Look:
    """Raise `Oversized` if decoding takes too much memory; return the header."""
    _check_stated(form, data, path, limit, sample)
    look = form.look(data, path, limit, sample)
    check_chunk(path, "an image", look.shape, look.samples * look.dtype.itemsize, limit)
    return look


def _check_stated(form: _Format, data: bytes, path: str, limit: int, sample: str | None) -> None:
    """Raise `Oversized` if the header states more pixels than fit into memory."""
    if sample is not None and form is not _TIFF:
        raise ValueError("each of its pixels has one sample: s cannot be stated")
    size = stated(data)
    if size is not None:
        check_chunk(path, "an image", size[:2], size.depth, limit)


def is_grey_jpeg(data: bytes, shape: tuple[int, int]) -> bool:
    """Return whether any viewer shows a JPEG as `decode` returns it, without decoding it.

    Parameters
    ----------
    data : bytes
        The whole file. It must have JPEG's end marker, which a truncated file lacks. It must
        hold no Exif, since browsers may rotate the picture by it.
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
    """Convert pixels of 1 or 3 samples to one value each, by the module's rule.

    Parameters
    ----------
    pixels : numpy.ndarray
        Shape (pages, height, width, samples).
    path : str
        Name of the file in messages.
    labels : bool
        Whether RGB is an id.

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
        return as_served(pixels[..., 0], served_dtype(pixels.dtype, path))
    size, allowed = pixels.dtype.itemsize, (1,) if labels else (1, 2)
    if pixels.dtype.kind != "u" or size not in allowed:
        raise ValueError(
            f"its colours are {pixels.dtype}; allowed are unsigned integers of "
            f"{' or '.join(str(8 * nbytes) for nbytes in allowed)} bits"
        )
    served = np.dtype("<u4") if labels else served_dtype(pixels.dtype, path)
    values = np.empty(pixels.shape[:3], served)
    rows = max(1, BAND // max(1, pixels.shape[2]))
    for page, at in itertools.product(range(len(pixels)), range(0, pixels.shape[1], rows)):
        band = page, slice(at, at + rows)
        values[band] = _mixed(pixels[band], labels)
    return values


def _mixed(pixels: NDArray[Any], labels: bool) -> NDArray[Any]:
    """Convert RGB along the last axis to ids, or to luminance."""
    red, green, blue = (pixels[..., sample] for sample in range(3))
    wide = "<u4" if labels else f"<u{2 * pixels.dtype.itemsize}"
    weights = (1, 256, 65_536) if labels else (77, 150, 29)
    total: NDArray[Any] = np.multiply(red, weights[0], dtype=wide)
    total += np.multiply(green, weights[1], dtype=wide)
    total += np.multiply(blue, weights[2], dtype=wide)
    return total if labels else (total + 128) >> 8


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Convert any error of a decoder on damaged bytes to a `SourceError` with the file's name."""
    try:
        yield
    except (ButterflyError, MemoryError):
        raise
    except Exception as error:
        reason = str(error).rstrip(".") or type(error).__name__
        raise SourceError(f"{path} cannot be decoded: {reason}.") from error


class _Format(NamedTuple):
    look: Callable[[bytes, str, int, str | None], Look]
    pixels: Callable[[bytes, str, str | None], NDArray[Any]]


_TIFF = _Format(tiff_look, tiff_pixels)
_CODED = _Format(coded_look, coded_pixels)

_FORMATS = {
    b"\x89PNG\r\n\x1a\n": _Format(png_look, png_pixels),
    b"\xff\xd8\xff": _Format(jpeg_look, jpeg_pixels),
    **dict.fromkeys(MAGICS, _TIFF),
}


def _format(data: bytes) -> _Format:
    for magic, form in _FORMATS.items():
        if data.startswith(magic):
            return form
    if codec_of(data[:8]) is not None:
        return _CODED
    raise ValueError(f"it is neither PNG nor JPEG nor TIFF nor {' nor '.join(CODED)}")
