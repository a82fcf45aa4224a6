"""The mean affinity across each contact, read block by block where the contacts are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.geometry import BoundingBox, zyx
from bfly.splitting.contacts import Faces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from bfly.splitting.contacts import Contacts

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["BLOCK", "affinity_means"]

BLOCK = 128
"""Voxels along each axis of a block, at most: 8 MiB of float32 are in memory at a time."""


def affinity_means(
    touching: Contacts, read: Callable[[int, BoundingBox], Voxels]
) -> NDArray[np.float64]:
    """Return the mean affinity across the faces of each contact.

    The affinity of a voxel along an axis is to the voxel before it on this axis, as in funlib and
    waterz: a face has the affinity of the voxel behind it.

    Parameters
    ----------
    touching : Contacts
        Pairs of supervoxels.
    read : callable
        Takes an axis (0 for z, 1 for y, 2 for x) and a box of voxels; returns the affinities
        along that axis, of shape (z, y, x): floats, or uint8, whose 255 is 1. No box is longer
        than `BLOCK` on any axis. It is the smallest around the voxels behind some faces.
    """
    sums = np.zeros(len(touching.pairs))
    for rows in _blocks(_voxels_behind(touching.faces)):
        low = rows.z.min(), rows.y.min(), rows.x.min()
        high = rows.z.max() + 1, rows.y.max() + 1, (rows.x + rows.lengths).max()
        values = read(int(rows.axis[0]), BoundingBox(zyx(low), zyx(high)))
        _, height, width = values.shape
        first = ((rows.z - low[0]) * height + rows.y - low[1]) * width + rows.x - low[2]
        begins = np.cumsum(rows.lengths) - rows.lengths
        places = np.repeat(first - begins, rows.lengths) + np.arange(rows.lengths.sum())
        sampled = np.ascontiguousarray(values).reshape(-1)[places].astype(np.float64)
        if values.dtype == np.uint8:
            sampled /= 255
        np.add.at(sums, rows.contact, np.add.reduceat(sampled, begins))
    counts = np.bincount(touching.faces.contact, touching.faces.lengths, len(sums))
    means: NDArray[np.float64] = sums / counts
    return means


def _voxels_behind(faces: Faces) -> Faces:
    """Return rows that begin at the voxel behind the first face, divided at the grid of blocks."""
    contact, axis, z, y, x, lengths = faces
    z, y, x = z + (axis == 0), y + (axis == 1), x + (axis == 2)
    first = x // BLOCK
    counts = (x + lengths - 1) // BLOCK - first + 1
    row = np.repeat(np.arange(len(x)), counts)
    block = first[row] + np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    start = np.maximum(x[row], block * BLOCK)
    stop = np.minimum((x + lengths)[row], (block + 1) * BLOCK)
    return Faces(contact[row], axis[row], z[row], y[row], start, stop - start)


def _blocks(rows: Faces) -> Iterator[Faces]:
    """Yield the rows of each block and axis."""
    keys = np.stack([rows.axis, rows.z // BLOCK, rows.y // BLOCK, rows.x // BLOCK])
    order = np.lexsort(keys[::-1])
    keys = keys[:, order]
    starts = np.flatnonzero((np.diff(keys, axis=1, prepend=keys[:, :1] - 1) != 0).any(axis=0))
    for start, stop in zip(starts, np.append(starts, len(order))[1:], strict=True):
        yield Faces(*(column[order[start:stop]] for column in rows))
