"""What the 2-D formats share: sections stacked downwards on one sheet of pixels."""

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
"""Bytes for each voxel of a strip: its pixels, what a format makes of them, and them packed."""


class SheetEncoder(Encoder):
    """Base of the encoders whose files hold one sheet of pixels."""

    grey_bits: ClassVar[int] = 8
    """The most that the format stores of a grey level."""

    max_side: ClassVar[int]
    """The most pixels that the format allows along one side."""

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
        """Take a sheet to need four times its pixels; see `Encoder.memory`."""
        return UNSTATED * math.prod(shape) * pixel_bytes(dtype, view, kind, self.grey_bits)

    @abstractmethod
    def _encode_sheet(self, sheet: NDArray[Any]) -> bytes | memoryview:
        """Write pixels in C order: (y, x) of at most `grey_bits`, or (y, x, 3) uint8."""


class StripEncoder(SheetEncoder):
    """Base of those that write a large sheet strip by strip, in little memory."""

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
        """Return the most bytes of a file of a cutout whose pixels have so many bytes."""


def sheet_of(voxels: NDArray[Any], view: str, kind: str, bits: int) -> NDArray[Any]:
    """Render voxels (z, y, x) as one sheet in C order: (y, x), or (y, x, 3)."""
    depth, height, width = voxels.shape
    pixels = np.ascontiguousarray(render(voxels, view, kind, bits))
    return pixels.reshape(depth * height, width, *pixels.shape[3:])


def pixel_strips(
    parts: Iterable[NDArray[Any]], view: str, kind: str, bits: int
) -> Iterator[NDArray[Any]]:
    """Yield the pixels of parts (z, y, x) as sheets of few voxels, one below the other.

    They have whole rows, unless one row is larger than a strip: then the pieces of a row follow
    one another.
    """
    for part in parts:
        for box in strips(part.shape):
            yield sheet_of(part[box], view, kind, bits)
