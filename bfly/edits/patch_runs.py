"""What a patch changes, as runs of voxels along x: the form that the log has."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from isal import isal_zlib

from bfly.errors import DatabaseError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.geometry import BoundingBox, Zyx

    Ids = NDArray[np.uint64]
    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["Runs", "packed_changes", "unpacked_runs"]


class Runs(NamedTuple):
    """Runs of voxels, in C order of their box. None goes on in the next row.

    Parameters
    ----------
    first : numpy.ndarray
        int64: the first voxel of each run, as its number in the box.
    length : numpy.ndarray
        int64: voxels of each run.
    pair : numpy.ndarray
        int64: for each run the place in the list of pairs of an old and a new id.
    """

    first: NDArray[np.int64]
    length: NDArray[np.int64]
    pair: NDArray[np.int64]

    def rows(self, shape: Zyx) -> tuple[NDArray[np.int64], ...]:
        """Return z, y and x of the first voxel of each run in a box of a shape."""
        row, x = np.divmod(self.first, shape[2])
        z, y = np.divmod(row, shape[1])
        return z, y, x

    def inside(self, box: BoundingBox, wanted: BoundingBox) -> Runs:
        """Return the parts of runs of a box that are within another box, numbered in that."""
        z, y, x = self.rows(box.shape)
        (z0, y0, x0), (z1, y1, x1) = (
            wanted.relative_to(box.start).start,
            wanted.relative_to(box.start).stop,
        )
        low, high = np.maximum(x, x0), np.minimum(x + self.length, x1)
        kept = (z >= z0) & (z < z1) & (y >= y0) & (y < y1) & (low < high)
        _, height, width = wanted.shape
        first = ((z - z0) * height + y - y0) * width + low - x0
        return Runs(first[kept], (high - low)[kept], self.pair[kept])

    def voxels(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the number of each voxel, and its pair."""
        ends = np.cumsum(self.length)
        shift = self.first - (ends - self.length)
        count = int(ends[-1]) if len(ends) else 0
        return np.repeat(shift, self.length) + np.arange(count), np.repeat(self.pair, self.length)


def packed_changes(before: Voxels, after: Voxels) -> tuple[Ids, NDArray[np.uint8]]:
    """Return the changes from an array of labels to another.

    Parameters
    ----------
    before, after : numpy.ndarray
        Labels of shape (z, y, x) with fewer than 2^32 voxels.

    Returns
    -------
    pairs : numpy.ndarray
        uint64 of shape (n, 2): each old id with each of the new ids that some voxels got instead.
    runs : numpy.ndarray
        uint8: compressed gaps, lengths and pairs of runs.
    """
    places = np.flatnonzero(before != after)
    both = np.stack([each.ravel()[places].astype(np.uint64) for each in (before, after)], axis=1)
    begins = np.ones(len(places), bool)
    begins[1:] = (places[1:] != places[:-1] + 1) | (both[1:] != both[:-1]).any(axis=1)
    begins |= places % before.shape[2] == 0
    starts = np.flatnonzero(begins)
    pairs, which = np.unique(both[starts], axis=0, return_inverse=True)
    first, length = places[starts], np.diff(starts, append=len(places))
    gap = first - np.append(0, first[:-1] + length[:-1])[: len(first)]
    columns = np.stack([gap, length, which.reshape(-1)]).astype("<u4")
    return pairs, np.frombuffer(isal_zlib.compress(columns.tobytes(), 1), np.uint8)


def unpacked_runs(packed: NDArray[np.uint8]) -> Runs:
    """Return the runs that `packed_changes` packed.

    Raises
    ------
    DatabaseError
        They are damaged.
    """
    try:
        columns = np.frombuffer(zlib.decompress(packed.tobytes()), "<u4").reshape(3, -1)
    except (zlib.error, ValueError) as error:
        raise DatabaseError(f"The runs of a patch are damaged: {error}") from error
    gap, length, pair = columns.astype(np.int64)
    ends = np.cumsum(gap + length)
    return Runs(ends - length, length, pair)
