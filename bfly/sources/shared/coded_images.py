"""BMP, JPEG 2000, JPEG XL, WebP and AVIF: images of one section, decoded by imagecodecs.

Their headers state the number of pixels, which is checked before anything is decoded. How many
samples a pixel has follows from the decoded pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np

from bfly.sources.shared.image_sizes import stated
from bfly.sources.shared.tiff_images import Look

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["CODED", "coded_look", "coded_pixels", "codec_of"]

CODED = {
    "AVIF": ("avif",),
    "BMP": ("bmp",),
    "JPEG 2000": ("j2c", "j2k", "jp2"),
    "JPEG XL": ("jxl",),
    "WebP": ("webp",),
}
"""Extensions of files, without the dot, in lower case, by the name of the format."""

_CODECS = {
    "AVIF": "avif_decode",
    "BMP": "bmp_decode",
    "JPEG 2000": "jpeg2k_decode",
    "JPEG XL": "jpegxl_decode",
    "WebP": "webp_decode",
}
"""Functions of imagecodecs. Each of them raises an error for an image that is truncated."""

_MAGICS = {
    b"BM": "BMP",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
    b"RIFF": "WebP",
}

SYCC = b"colr\x01\0\0\0\0\0\x12"
"""Box of a JP2 file for luminance and colour differences (ITU-T T.800, I.5.3.3)."""


def codec_of(head: bytes) -> str | None:
    """Return the name of the format, by the first 8 bytes of a file; None for any other.

    The first box of AVIF is ``ftyp`` (ISO/IEC 14496-12, 4.3), which other formats have too.
    """
    if head[4:8] == b"ftyp":
        return "AVIF"
    return next((name for magic, name in _MAGICS.items() if head.startswith(magic)), None)


def coded_look(data: bytes, *_others: Any) -> Look:
    """Return the shape, samples and dtype of an image, which is decoded for it."""
    pixels = coded_pixels(data)
    _, height, width, samples = pixels.shape
    return Look((1, height, width), samples, pixels.dtype)


def coded_pixels(data: bytes, *_others: Any) -> NDArray[Any]:
    """Decode an image as (1, height, width, 1 or 3 samples), without alpha.

    Raises
    ------
    ValueError
        It has several frames, or samples that are neither grey nor RGB. imagecodecs has errors of
        its own, for damaged images.
    """
    name = codec_of(data[:8]) or ""
    size = stated(data)
    if size is None:
        raise ValueError(f"its number of pixels cannot be determined, as that of a {name} image")
    if name == "JPEG 2000" and SYCC in data[: data.find(b"\xff\x4f\xff\x51")]:
        raise ValueError("its colours are sYCC; allowed are grey and RGB")
    decoder: Callable[[bytes], NDArray[Any]] = getattr(imagecodecs, _CODECS[name])
    pixels = decoder(data)
    if pixels.shape[:2] != size[:2]:
        raise ValueError(
            f"it is {' x '.join(map(str, pixels.shape))}, its header states {size.height} x "
            f"{size.width}; allowed is one frame of that size"
        )
    pixels = pixels.reshape(1, *size[:2], -1)
    samples = pixels.shape[3]
    if samples > 4 or (samples == 2 and name == "JPEG 2000"):
        raise ValueError(f"its pixels have {samples} samples; allowed are grey and RGB")
    return np.ascontiguousarray(pixels[..., : 1 if samples < 3 else 3])
