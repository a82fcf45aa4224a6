"""DVID's own compression of a block of labels, as its labelmap stores it.

The layout is in ``datatype/common/labels/compressed.go`` of https://github.com/janelia-flyem/dvid:
a table of the block's labels; for each sub-block of 8³ voxels the number of its labels, and their
places in the table; and for each voxel the place among the labels of its sub-block, in as few bits
as hold it, the highest bit first, each sub-block from a whole byte on. All integers are
little-endian. A block with one label ends after the table.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["dvid_block"]

SIDE = 8
"""Voxels along a side of a sub-block."""


def dvid_block(labels: NDArray[np.uint64]) -> bytes:
    """Return a block of labels in DVID's compression.

    Parameters
    ----------
    labels : numpy.ndarray
        uint64, zyx; each side is a multiple of 8.
    """
    table = np.unique(labels)
    grid = [side // SIDE for side in labels.shape]
    head = struct.pack("<4I", *grid[::-1], len(table)) + table.astype("<u8").tobytes()
    if len(table) == 1:
        return head
    z, y, x = grid
    blocks = labels.reshape(z, SIDE, y, SIDE, x, SIDE).transpose(0, 2, 4, 1, 3, 5)
    counts, indices, values = [], [], []
    for block in blocks.reshape(-1, SIDE**3):
        own, places = np.unique(block, return_inverse=True)
        counts.append(len(own))
        indices.append(np.searchsorted(table, own))
        if bits := (len(own) - 1).bit_length():
            shifts = np.arange(bits - 1, -1, -1, dtype=np.uint16)
            single = places.reshape(-1, 1).astype(np.uint16) >> shifts & 1
            values.append(np.packbits(single.astype(np.uint8)).tobytes())
    parts = [np.array(counts, "<u2").tobytes(), np.concatenate(indices).astype("<u4").tobytes()]
    return b"".join([head, *parts, *values])
