"""Blocks of N5: a header with the shape, then big-endian voxels, gzip-compressed."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from bfly.encoders.encoder import GZIP, PIECE, packed_parts
from bfly.encoders.packed import PackedEncoder
from bfly.encoders.strips import strips

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from bfly.geometry import Zyx

__all__ = ["N5Block"]

DEFAULT_MODE = 0
"""Mode of a block whose number of voxels is that of its shape."""


class N5Block(PackedEncoder):
    """Mode, number of axes, width, height, depth, voxels: https://github.com/saalfeldlab/n5."""

    media_type = "application/x-n5"

    @override
    def encode_parts(
        self,
        parts: Iterator[NDArray[Any]],
        shape: Zyx,
        *,
        view: str = "grayscale",
        kind: str = "image",
    ) -> Iterator[bytes]:
        # The gzip header has no time, so that equal voxels give equal bytes.
        packed = packed_parts(_swapped(parts), GZIP)
        first = next(packed)
        depth, height, width = shape
        yield struct.pack(">HHIII", DEFAULT_MODE, len(shape), width, height, depth)
        yield first
        yield from packed


def _swapped(parts: Iterable[NDArray[Any]]) -> Iterator[memoryview]:
    """Yield voxels as big-endian bytes in C order."""
    for part in parts:
        for box in strips(part.shape, PIECE // part.itemsize):
            voxels = np.ascontiguousarray(part[box], part.dtype.newbyteorder(">"))
            yield voxels.reshape(-1).view(np.uint8).data
