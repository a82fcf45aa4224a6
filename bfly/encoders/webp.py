"""WebP: smaller than JPEG, for viewing images."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
from typing_extensions import override

from bfly.encoders.sheet import SheetEncoder, pixel_strips
from bfly.encoders.strips import STRIP
from bfly.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bfly.geometry import Zyx

__all__ = ["WebP"]

QUALITY = 85
"""Quality, 0 to 100: about the same error as JPEG at 90, with smaller files."""

SMALL, LARGE = 4, 0
"""Effort of libwebp (``method``, 0 to 6) for small and large sheets. From 3 on it holds all
coefficients of an image, up to 20 bytes per pixel; 0 needs up to 5, for files 3 % larger."""

LARGEST = 100_000_000
"""Pixels of a sheet, at most: the library holds all of it, at `NEEDED` bytes per pixel."""

NEEDED = 8
"""Bytes per pixel: RGB, luminance and chroma, and the growing file."""

NEEDED_SMALL = 24
"""Bytes per pixel of a small sheet: `NEEDED` and the coefficients."""


class WebP(SheetEncoder):
    """Lossy RGB; grey is three equal channels."""

    media_type = "image/webp"
    max_side = 16_383
    streams = True

    @override
    def check(
        self, shape: Zyx, dtype: np.dtype[Any], *, view: str = "grayscale", kind: str = "image"
    ) -> None:
        super().check(shape, dtype, view=view, kind=kind)
        if math.prod(shape) > LARGEST:
            raise BadRequest(
                f"The cutout of {shape} voxels (depth, height, width) makes a sheet of "
                f"{math.prod(shape)} pixels; {self.media_type} is written up to {LARGEST}."
            )

    @override
    def encode(
        self, voxels: NDArray[Any], *, view: str = "grayscale", kind: str = "image"
    ) -> bytes:
        """Write a cutout (z, y, x) as a sheet of z y rows and x columns; see `Encoder.encode`."""
        self.check(voxels.shape, voxels.dtype, view=view, kind=kind)
        return next(self.encode_parts(iter([voxels]), voxels.shape, view=view, kind=kind))

    @override
    def encode_parts(
        self,
        parts: Iterator[NDArray[Any]],
        shape: Zyx,
        *,
        view: str = "grayscale",
        kind: str = "image",
    ) -> Iterator[bytes]:
        depth, height, width = shape
        sheet, start = np.empty((depth * height, width, 3), np.uint8), 0
        for strip in pixel_strips(parts, view, kind, self.grey_bits):
            rows = strip if strip.ndim == 3 else strip[..., np.newaxis]
            sheet[start : start + len(rows)] = rows
            start += len(rows)
        yield self._encode_sheet(sheet)

    def _encode_sheet(self, sheet: NDArray[Any]) -> bytes:
        method = SMALL if sheet.size <= 3 * STRIP else LARGE
        try:
            packed = imagecodecs.webp_encode(sheet, level=QUALITY, method=method, lossless=False)
        except imagecodecs.WebpError as error:
            # The format limits the modes of all blocks to 512 KiB.
            height, width, _ = sheet.shape
            raise BadRequest(
                f"The sheet of {width} x {height} pixels is too large and varied for "
                f"{self.media_type}: {error}."
            ) from error
        return bytes(packed)

    @override
    def memory(
        self,
        shape: Zyx,
        dtype: np.dtype[Any],
        *,
        view: str = "grayscale",
        kind: str = "image",
        part: int | None = None,
    ) -> int:
        pixels = math.prod(shape)
        return pixels * (NEEDED_SMALL if pixels <= STRIP else NEEDED)
