"""LZ4: the bytes of the voxels as one block of LZ4, without a frame."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import imagecodecs
from typing_extensions import override

from bfly.encoders.encoder import Encoder, raw_bytes
from bfly.encoders.strips import SMALL, written
from bfly.errors import BadRequest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bfly.geometry import Zyx

__all__ = ["Lz4"]

LARGEST = 0x7E000000
"""Bytes of a block before compression, at most (``LZ4_MAX_INPUT_SIZE`` of lz4.h)."""


class Lz4(Encoder):
    """The bytes of `Raw` as a block, which stores no length; DVID's ``compression=lz4``."""

    media_type = "application/octet-stream"

    def encode(
        self, voxels: NDArray[Any], *, view: str = "grayscale", kind: str = "image"
    ) -> bytes | memoryview:
        """Compress the cutout; see `Encoder.encode`."""
        self.check(voxels.shape, voxels.dtype)
        # The stub is too narrow: the function takes any buffer.
        data: Any = raw_bytes(voxels)
        most = _largest(voxels.nbytes)
        return written(lambda out: imagecodecs.lz4_encode(data, out=out), most)

    @override
    def check(
        self, shape: Zyx, dtype: np.dtype[Any], *, view: str = "grayscale", kind: str = "image"
    ) -> None:
        size = math.prod(shape) * dtype.itemsize
        if size > LARGEST:
            raise BadRequest(f"The cutout has {size} bytes; lz4 holds at most {LARGEST}.")

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
        size = _largest(math.prod(shape) * dtype.itemsize)
        # The library's own table takes 16 KiB.
        return (2 * size if size <= SMALL else size) + (16 << 10)


def _largest(size: int) -> int:
    """Return ``LZ4_compressBound``."""
    return size + size // 255 + 16
