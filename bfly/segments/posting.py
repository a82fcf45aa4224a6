"""Postings: what is known of each label in each cell of a grid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.segments.runs import runs_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.geometry import Zyx

__all__ = ["CELL", "POSTING", "label_keys", "postings_of", "summed"]

CELL: Zyx = (64, 128, 128)
"""Shape of a cell (z, y, x), in voxels of mip 0, counted from the channel's first voxel."""

POSTING = np.dtype(
    [
        ("label", "<u8"),
        ("voxels", "<u8"),
        ("low", "<u4", 3),
        ("high", "<u4", 3),
        ("point", "<u4", 3),
    ]
)
"""One label in one cell: its voxels, its bounding box (`high` is exclusive), and a voxel of it;
z, y, x, counted from the channel's first voxel. The cell is that of `low`. Rows are in the order
of the labels, then of z, y, x of the cells."""


def label_keys(rows: NDArray[Any]) -> NDArray[np.uint64]:
    """Return the keys by which postings are sorted: their labels."""
    return np.ascontiguousarray(rows["label"], np.uint64)


def postings_of(voxels: np.ndarray[Any, np.dtype[Any]], origin: Zyx) -> NDArray[np.void]:
    """Return the postings of one cell.

    Parameters
    ----------
    voxels : numpy.ndarray
        Labels (z, y, x) of the cell, C order.
    origin : tuple of int
        Its first voxel, counted from that of the channel.

    Returns
    -------
    numpy.ndarray
        `POSTING`, one row for each label but 0, in ascending order.
    """
    runs = runs_of(voxels)
    order = np.argsort(runs.labels)
    labels, lengths = runs.labels[order], runs.lengths[order]
    z, y, x = runs.z[order], runs.y[order], runs.x[order]
    first = _firsts(labels)
    result = np.empty(len(first), POSTING)
    if not len(first):
        return result
    result["label"] = labels[first]
    result["voxels"] = np.add.reduceat(lengths, first)
    # The longest run is the least likely to be an outlying voxel. Its place is below its length.
    bits = int(len(labels) - 1).bit_length()
    longest = np.maximum.reduceat(lengths << bits | np.arange(len(labels)), first)
    chosen = longest & ((1 << bits) - 1)
    middle = x + lengths // 2
    for axis, (low, high, point) in enumerate(
        ((z, z + 1, z), (y, y + 1, y), (x, x + lengths, middle))
    ):
        result["low"][:, axis] = np.minimum.reduceat(low, first) + origin[axis]
        result["high"][:, axis] = np.maximum.reduceat(high, first) + origin[axis]
        result["point"][:, axis] = point[chosen] + origin[axis]
    return result


def summed(
    postings: NDArray[np.void], groups: NDArray[np.uint64] | None = None
) -> NDArray[np.void]:
    """Return one row for each label, or for each group of labels, over all cells.

    Parameters
    ----------
    postings : numpy.ndarray
        `POSTING`, in ascending order of the labels, or of the groups.
    groups : numpy.ndarray, optional
        uint64, the group of each posting, which becomes the label of the result.

    Returns
    -------
    numpy.ndarray
        `POSTING`; the point is that of the cell with the most voxels.
    """
    keys = postings["label"] if groups is None else groups
    first = _firsts(keys)
    result = np.empty(len(first), POSTING)
    if not len(first):
        return result
    result["label"] = keys[first]
    result["voxels"] = np.add.reduceat(postings["voxels"], first)
    result["low"] = np.minimum.reduceat(postings["low"], first)
    result["high"] = np.maximum.reduceat(postings["high"], first)
    largest = np.maximum.reduceat(postings["voxels"], first)
    counts = np.diff(first, append=len(keys))
    is_largest = np.flatnonzero(postings["voxels"] == np.repeat(largest, counts))
    result["point"] = postings["point"][is_largest[np.searchsorted(is_largest, first)]]
    return result


def _firsts(keys: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Return the first index of each group of equal neighbours."""
    if not len(keys):
        return np.empty(0, np.intp)
    return np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
