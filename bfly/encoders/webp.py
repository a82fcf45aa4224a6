"""WebP: smaller than JPEG, for looking at images."""

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
"""About as far from the original as JPEG at 90, at a smaller size."""

SMALL, LARGE = 4, 0
"""How hard libwebp tries, of 0 to 6. From 3 on it holds all coefficients of a picture, up to 20
bytes a pixel; 0 needs up to 5, and files get 3 % larger."""

LARGEST = 100_000_000
"""Pixels: the library holds a picture as a whole, and each takes `NEEDED` bytes."""

NEEDED = 8
"""Bytes of a pixel: red, green and blue; luminance and chroma; the file, while it grows."""

NEEDED_SMALL = 24
"""The same with the coefficients."""


class WebP(SheetEncoder):
    """RGB; a grey level is three equal ones."""

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
            # The modes of all blocks have to fit into 512 KiB.
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
