"""PNG and JPEG as image files: their headers, and their pixels."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import simplejpeg

from bfly.sources.shared.tiff_images import Look

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["jpeg_look", "jpeg_pixels", "png_look", "png_pixels"]


def png_look(data: bytes, *_others: Any) -> Look:
    """Read the IHDR chunk (PNG specification, 11.2.2)."""
    width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    grey = colour in (0, 4)
    return Look((1, height, width), 1 if grey else 3, np.dtype("<u2" if depth == 16 else "u1"))


def png_pixels(data: bytes, *_others: Any) -> NDArray[Any]:
    """Decode a PNG as (1, height, width, 1 or 3 samples), without alpha."""
    pixels: NDArray[Any] = imagecodecs.png_decode(data)
    if pixels.ndim == 2:
        return pixels[np.newaxis, ..., np.newaxis]
    return pixels[np.newaxis, ..., : 1 if pixels.shape[2] == 2 else 3]


def jpeg_look(data: bytes, *_others: Any) -> Look:
    """Read the header; raise `ValueError` for colours that are neither grey nor RGB."""
    height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    if colours in ("CMYK", "YCCK"):
        raise ValueError(f"its colours are {colours}; allowed are grey and RGB")
    return Look((1, height, width), 1 if colours == "Gray" else 3, np.dtype("u1"))


def jpeg_pixels(data: bytes, *_others: Any) -> NDArray[Any]:
    """Decode a JPEG as (1, height, width, 1 or 3 samples)."""
    # imagecodecs ignores libjpeg's warnings: the rest of a truncated image would be grey
    grey = simplejpeg.decode_jpeg_header(data)[2] == "Gray"
    pixels: NDArray[Any] = simplejpeg.decode_jpeg(data, "GRAY" if grey else "RGB", strict=True)
    return pixels[np.newaxis]
