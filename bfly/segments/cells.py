"""Cells of the grid of any mip that a segment is in."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bfly.geometry import BoundingBox, zyx
from bfly.segments.posting import CELL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.geometry import Zyx
    from bfly.volumes.volume import Volume

__all__ = ["CellPostings", "box_of_cell", "cells_of", "pairs_of"]

BATCH = 1 << 16
"""Postings whose cells are computed at once."""


class CellPostings(NamedTuple):
    """Pairs of a cell and a posting that may have voxels in it, or next to it.

    Parameters
    ----------
    cells : numpy.ndarray
        int64 of shape (n, 3): z, y, x.
    rows : numpy.ndarray
        int64, the place of each posting.
    has_faces : numpy.ndarray
        bool, whether a pair of neighbours in and around the posting may have its first voxel in the
        cell.
    is_first : numpy.ndarray
        bool, whether the cell is the first of the posting: one pair of each.
    """

    cells: NDArray[np.int64]
    rows: NDArray[np.int64]
    has_faces: NDArray[np.bool_]
    is_first: NDArray[np.bool_]


def cells_of(volume: Volume, mip: int, postings: NDArray[np.void]) -> NDArray[np.int64]:
    """Return the cells of a mip that may have voxels of some postings.

    The cells of a mip have the shape `CELL`, counted from the first voxel of the dataset.

    Parameters
    ----------
    volume : Volume
        The channel.
    mip : int
        A mip of it.
    postings : numpy.ndarray
        `POSTING`.

    Returns
    -------
    numpy.ndarray
        Of shape (n, 3): z, y, x, in ascending order.
    """
    starts = range(0, max(1, len(postings)), BATCH)
    parts = [_distinct(pairs_of(volume, mip, postings[at : at + BATCH]).cells) for at in starts]
    return _distinct(np.concatenate(parts))


def _distinct(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return each cell once, in ascending order."""
    cells = cells[np.lexsort(cells.T[::-1])]
    is_new = np.ones(len(cells), bool)
    is_new[1:] = (cells[1:] != cells[:-1]).any(axis=1)
    return cells[is_new]


def pairs_of(volume: Volume, mip: int, postings: NDArray[np.void], margin: int = 0) -> CellPostings:
    """Return the cells of a mip with the postings that may have voxels in each, in no order.

    Parameters
    ----------
    volume, mip, postings
        As for `cells_of`.
    margin : int
        Voxels of the mip around each cell that count as well, fewer than a cell has.
    """
    origin, factor = np.array(volume.level(0).origin), np.array(volume.level(mip).factor)
    low = (postings["low"].astype(np.int64) + origin) // factor
    high = (postings["high"].astype(np.int64) - 1 + origin) // factor
    first, last = low // CELL, high // CELL
    start, stop = (low - margin) // CELL, (high + margin) // CELL
    cells, rows = [], []
    # The voxels of a posting are in one cell of mip 0, and so in three cells along each axis.
    for steps in product((0, 1, 2), repeat=3):
        cell = start + steps
        some = np.flatnonzero((cell <= stop).all(axis=1))
        cells.append(cell[some])
        rows.append(some)
    cell, row = np.concatenate(cells), np.concatenate(rows)
    # The first voxel of a pair may be the one before the posting along one axis. Before the
    # channel, it counts to the channel's first cell.
    before = np.maximum(low - 1, volume.level(mip).place.start) // CELL
    has_faces = ((cell >= before[row]) & (cell <= last[row])).all(axis=1)
    has_faces &= (cell < first[row]).sum(axis=1) <= 1
    return CellPostings(cell, row, has_faces, (cell == first[row]).all(axis=1))


def box_of_cell(volume: Volume, mip: int, cell: Zyx) -> BoundingBox:
    """Return the voxels of a cell, clipped to the channel, in the coordinates of the dataset."""
    box = BoundingBox.of_shape((1, 1, 1), zyx(cell)).refined(CELL)
    return box & volume.level(mip).place
