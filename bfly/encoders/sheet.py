"""Base of the 2-D formats: sections are stacked vertically in one sheet of pixels."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from typing_extensions import override

from bfly.encoders.encoder import UNSTATED, Encoder
from bfly.encoders.strips import STRIP, joined, strips
from bfly.encoders.views import check_view, pixel_bytes, render
from bfly.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from bfly.geometry import Zyx

__all__ = ["WORK", "SheetEncoder", "StripEncoder", "pixel_strips", "sheet_of"]

WORK = 24
"""Peak bytes per voxel of a strip: pixels, intermediate arrays and compressed output."""


class SheetEncoder(Encoder):
    """Base of the encoders whose files hold one sheet of pixels."""

    grey_bits: ClassVar[int] = 8
    """Bits of a grey level that the format stores, at most."""

    max_side: ClassVar[int]
    """Pixels along one side that the format allows, at most."""

    def encode(
        self, voxels: NDArray[Any], *, view: str = "grayscale", kind: str = "image"
    ) -> bytes | memoryview:
        """Write a cutout (z, y, x) as a sheet of z y rows and x columns; see `Encoder.encode`."""
        self.check(voxels.shape, voxels.dtype, view=view, kind=kind)
        return self._encode_sheet(sheet_of(voxels, view, kind, self.grey_bits))

    @override
    def check(
        self, shape: Zyx, dtype: np.dtype[Any], *, view: str = "grayscale", kind: str = "image"
    ) -> None:
        check_view(view)
        depth, height, width = shape
        if max(depth * height, width) > self.max_side:
            raise BadRequest(
                f"The cutout with width {width}, height {height} and depth {depth} makes a sheet "
                f"of {width} x {depth * height} pixels: a side of {self.media_type} has at "
                f"most {self.max_side}."
            )

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
        """Return four times the bytes of the pixels; see `Encoder.memory`."""
        return UNSTATED * math.prod(shape) * pixel_bytes(dtype, view, kind, self.grey_bits)

    @abstractmethod
    def _encode_sheet(self, sheet: NDArray[Any]) -> bytes | memoryview:
        """Encode pixels in C order: (y, x) of at most `grey_bits`, or (y, x, 3) uint8."""


class StripEncoder(SheetEncoder):
    """Base of the encoders that write a large sheet strip by strip, in little memory."""

    streams = True

    @override
    def encode(
        self, voxels: NDArray[Any], *, view: str = "grayscale", kind: str = "image"
    ) -> bytes | memoryview:
        """Write a cutout (z, y, x) as a sheet of z y rows and x columns; see `Encoder.encode`."""
        if voxels.size <= STRIP:
            return super().encode(voxels, view=view, kind=kind)
        self.check(voxels.shape, voxels.dtype, view=view, kind=kind)
        most = self._largest(voxels.shape, pixel_bytes(voxels.dtype, view, kind, self.grey_bits))
        return joined(self.encode_parts(iter([voxels]), voxels.shape, view=view, kind=kind), most)

    @override
    @abstractmethod
    def encode_parts(
        self,
        parts: Iterator[NDArray[Any]],
        shape: Zyx,
        *,
        view: str = "grayscale",
        kind: str = "image",
    ) -> Iterator[bytes | memoryview]: ...

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
        work = WORK * min(math.prod(shape), STRIP)
        if part is not None:
            return work
        return work + self._largest(shape, pixel_bytes(dtype, view, kind, self.grey_bits))

    @abstractmethod
    def _largest(self, shape: Zyx, pixel: int) -> int:
        """Return the largest size of a file in bytes; `pixel` is the bytes of a pixel."""


def sheet_of(voxels: NDArray[Any], view: str, kind: str, bits: int) -> NDArray[Any]:
    """Render voxels (z, y, x) as one sheet in C order: (y, x), or (y, x, 3)."""
    depth, height, width = voxels.shape
    pixels = np.ascontiguousarray(render(voxels, view, kind, bits))
    return pixels.reshape(depth * height, width, *pixels.shape[3:])


def pixel_strips(
    parts: Iterable[NDArray[Any]], view: str, kind: str, bits: int
) -> Iterator[NDArray[Any]]:
    """Yield the pixels of parts (z, y, x) as sheets of at most a strip, from top to bottom.

    Sheets have whole rows. Only a row larger than a strip is divided, from left to right.
    """
    for part in parts:
        for box in strips(part.shape):
            yield sheet_of(part[box], view, kind, bits)
