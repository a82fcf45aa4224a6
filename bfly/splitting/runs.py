"""The voxels of one segment as runs along x: far fewer than the voxels of the box."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from bfly.geometry import Zyx

__all__ = ["SegmentRuns", "joined", "runs_in"]

SIEVE = 1 << 16
"""Entries of the table of low bits of ids, a first test that needs no search."""

CACHED = 1 << 18
"""Voxels that are compared at once: they stay in the processor's cache."""


class SegmentRuns(NamedTuple):
    """Runs of equal supervoxels along x, in z, y, x order.

    Parameters
    ----------
    labels : numpy.ndarray
        uint64, the supervoxel of each run.
    z, y, x : numpy.ndarray
        int64, the first voxel of each run.
    stops : numpy.ndarray
        int64, x behind the last voxel of each run.
    """

    labels: NDArray[np.uint64]
    z: NDArray[np.int64]
    y: NDArray[np.int64]
    x: NDArray[np.int64]
    stops: NDArray[np.int64]


def runs_in(
    voxels: np.ndarray[Any, np.dtype[Any]],
    supervoxels: NDArray[np.uint64],
    origin: Zyx = (0, 0, 0),
) -> SegmentRuns:
    """Return the runs of a segment in a box of stored labels.

    The time is that of one comparison for each voxel of the box. A large box is passed in parts,
    only those that contain the segment, and `joined` makes one of their runs.

    Parameters
    ----------
    voxels : numpy.ndarray
        Integers of three axes (z, y, x), C order.
    supervoxels : numpy.ndarray
        Ids of the segment, sorted, without 0.
    origin : tuple of int
        First voxel (z, y, x) of the box.
    """
    _, height, width = (max(1, side) for side in voxels.shape)
    sieve = np.zeros(SIEVE, bool)
    sieve[supervoxels.astype(np.uint16)] = True
    rows = voxels.reshape(-1, width)
    step = max(1, CACHED // width)
    parts = [
        (start, _own(rows[start : start + step], supervoxels, sieve))
        for start in range(0, len(rows), step)
    ]
    ids, first, stops = (
        np.concatenate([np.zeros(0, kind), *(column[which] for _, column in parts)])
        for which, kind in enumerate((np.uint64, np.int64, np.int64))
    )
    counts = np.array([len(column[0]) for _, column in parts], np.int64)
    offsets = np.repeat(np.array([start for start, _ in parts], np.int64), counts)
    row, x = np.divmod(first, width)
    z, y = np.divmod(row + offsets, height)
    return SegmentRuns(
        ids, z + origin[0], y + origin[1], x + origin[2], x + (stops - first) + origin[2]
    )


def _own(
    rows: np.ndarray[Any, np.dtype[Any]], supervoxels: NDArray[np.uint64], sieve: NDArray[np.bool_]
) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]:
    """Return supervoxel, first voxel and stop, counted from the first row, of a segment's runs."""
    flat = rows.reshape(-1)
    is_start = np.empty(flat.size, bool)
    np.not_equal(flat[1:], flat[:-1], out=is_start[1:])
    is_start[:: rows.shape[1]] = True
    starts = np.flatnonzero(is_start)
    labels = flat[starts]
    likely = np.flatnonzero(sieve[labels.astype(np.uint16)])
    ids = labels[likely].astype(np.uint64)
    places = np.searchsorted(supervoxels, ids)
    places[places == len(supervoxels)] = 0
    chosen = np.flatnonzero(supervoxels[places] == ids) if len(ids) else places
    kept = likely[chosen]
    return ids[chosen], starts[kept], np.append(starts, flat.size)[kept + 1]


def joined(parts: Iterable[SegmentRuns]) -> SegmentRuns:
    """Return the runs of boxes that do not overlap as those of one box.

    A run that a border of boxes divides stays divided: nothing that is computed of runs depends
    on that.
    """
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    order = np.lexsort((columns[3], columns[2], columns[1]))
    return SegmentRuns(*(column[order] for column in columns))
