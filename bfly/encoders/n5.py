"""Blocks of N5: a header with the shape, then big-endian voxels in gzip."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
from isal import igzip

from bfly.encoders.encoder import LEVEL, Encoder

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["N5Block"]

DEFAULT_MODE = 0
"""A block of as many voxels as its shape says."""


class N5Block(Encoder):
    """Mode, number of axes, width, height, depth, voxels: https://github.com/saalfeldlab/n5."""

    media_type = "application/x-n5"

    def encode(
        self, voxels: NDArray[Any], *, view: str = "grayscale", kind: str = "image"
    ) -> bytes:
        """Write the cutout as a block; see `Encoder.encode`."""
        depth, height, width = voxels.shape
        header = struct.pack(">HHIII", DEFAULT_MODE, voxels.ndim, width, height, depth)
        swapped = np.ascontiguousarray(voxels, voxels.dtype.newbyteorder(">"))
        # Without a time in it: the same voxels are the same bytes.
        packed: bytes = igzip.compress(swapped.reshape(-1).view(np.uint8), LEVEL, mtime=0)
        return header + packed
