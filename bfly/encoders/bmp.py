"""BMP: pixels as they are, for what reads nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import imagecodecs

from bfly.encoders.sheet import SheetEncoder

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Bmp"]


class Bmp(SheetEncoder):
    """Uncompressed: 8 bit grey as a palette of greys, or 24 bit RGB."""

    media_type = "image/bmp"
    max_side = 2**31 - 1

    def _encode_sheet(self, sheet: NDArray[Any]) -> bytes:
        return bytes(imagecodecs.bmp_encode(sheet))
