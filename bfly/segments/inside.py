"""Labels of a box by their postings: those that are in it, and the cells that leave it open."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bfly.geometry import BoundingBox, zyx
from bfly.segments.posting import CELL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = ["Inside", "inside"]


class Inside(NamedTuple):
    """The labels of a box.

    Parameters
    ----------
    labels : numpy.ndarray
        uint64, ascending: labels that have voxels in the box.
    cells : list of BoundingBox
        Parts of the box, counted from the channel's first voxel, one for each cell: any further
        label of the box has voxels in them.
    """

    labels: NDArray[np.uint64]
    cells: list[BoundingBox]


def inside(postings: Iterable[NDArray[np.void]], box: BoundingBox) -> Inside:
    """Return the labels of a box.

    A label is in the box if a posting of it is, or the known voxel of a posting. Where the bounding
    box of a posting only overlaps the box, the voxels of its cell have to tell.

    Parameters
    ----------
    postings : iterable of numpy.ndarray
        `POSTING`, all of a channel, in parts.
    box : BoundingBox
        Voxels, counted from the channel's first one.
    """
    start, stop = np.array(box.start), np.array(box.stop)
    labels = [np.empty(0, np.uint64)]
    open_labels, open_cells = [np.empty(0, np.uint64)], [np.empty((0, 3), np.int64)]
    for rows in postings:
        overlaps = ((rows["low"] < stop) & (rows["high"] > start)).all(axis=1)
        near = rows[overlaps]
        is_in = ((near["low"] >= start) & (near["high"] <= stop)).all(axis=1)
        is_in |= ((near["point"] >= start) & (near["point"] < stop)).all(axis=1)
        labels.append(np.unique(near["label"][is_in]))
        open_labels.append(near["label"][~is_in])
        open_cells.append(near["low"][~is_in].astype(np.int64) // CELL)
    found = np.unique(np.concatenate(labels))
    is_open = ~np.isin(np.concatenate(open_labels), found)
    cells = np.unique(np.concatenate(open_cells)[is_open], axis=0)
    ones = (BoundingBox.of_shape((1, 1, 1), zyx(cell)).refined(CELL) & box for cell in cells)
    return Inside(found, list(ones))
