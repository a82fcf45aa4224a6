"""Cells of the grid of any mip that a segment is in."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from bfly.geometry import BoundingBox, zyx
from bfly.segments.posting import CELL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.geometry import Zyx
    from bfly.volumes.volume import Volume

__all__ = ["box_of_cell", "cells_of"]


def cells_of(
    volume: Volume, mip: int, postings: NDArray[np.void], margin: int = 0
) -> NDArray[np.int64]:
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
    margin : int
        Voxels of the mip around each cell that count as well, fewer than a cell has.

    Returns
    -------
    numpy.ndarray
        Of shape (n, 3): z, y, x, in ascending order.
    """
    origin, factor = np.array(volume.level(0).origin), np.array(volume.level(mip).factor)
    first = ((postings["low"].astype(np.int64) + origin) // factor - margin) // CELL
    last = ((postings["high"].astype(np.int64) - 1 + origin) // factor + margin) // CELL
    # The voxels of a posting are in one cell of mip 0, and so in three cells along each axis.
    corners = [np.minimum(first + steps, last) for steps in product((0, 1, 2), repeat=3)]
    return np.unique(np.concatenate(corners), axis=0)


def box_of_cell(volume: Volume, mip: int, cell: Zyx) -> BoundingBox:
    """Return the voxels of a cell, clipped to the channel, in the coordinates of the dataset."""
    box = BoundingBox.of_shape((1, 1, 1), zyx(cell)).refined(CELL)
    return box & volume.level(mip).place
