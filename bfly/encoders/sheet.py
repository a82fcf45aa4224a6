"""What the 2-D formats share: sections stacked downwards on one sheet of pixels."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bfly.encoders.encoder import Encoder
from bfly.encoders.views import render
from bfly.errors import BadRequest

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SheetEncoder"]


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
        depth, height, width = voxels.shape
        if max(depth * height, width) > self.max_side:
            raise BadRequest(
                f"The cutout with width {width}, height {height} and depth {depth} makes a sheet "
                f"of {width} x {depth * height} pixels: a side of {self.media_type} has at "
                f"most {self.max_side}."
            )
        pixels = np.ascontiguousarray(render(voxels, view, kind, self.grey_bits))
        return self._encode_sheet(pixels.reshape(depth * height, width, *pixels.shape[3:]))

    @abstractmethod
    def _encode_sheet(self, sheet: NDArray[Any]) -> bytes | memoryview:
        """Write pixels in C order: (y, x) of at most `grey_bits`, or (y, x, 3) uint8."""
