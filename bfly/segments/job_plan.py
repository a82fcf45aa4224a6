"""The segments of a mesh job, and the supervoxels that each consisted of at its start."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.segments.rows import writing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ids = NDArray[np.uint64]

__all__ = ["ALONE", "JOINED", "LEVELS", "JobPlan", "write_members"]

LEVELS = np.dtype([("segment", "<u8"), ("levels", "u1")])
"""A segment and the number of levels of its mesh."""

MEMBER = np.dtype([("supervoxel", "<u8"), ("segment", "<u8")])
"""A supervoxel that edits joined or renamed, and its segment."""

ALONE, JOINED = "alone", "joined"
"""Files of `LEVELS` by segment: of segments that are one supervoxel of the same id, and of the
others."""

NAMES, MEMBERS = "names", "members"
"""Files of `MEMBER` by supervoxel, and by segment."""


def write_members(folder: str, supervoxels: Ids, segments: Ids) -> None:
    """Write which supervoxels the edited segments consist of.

    Parameters
    ----------
    folder : str
        Folder of the job.
    supervoxels, segments : numpy.ndarray
        uint64: as `EditState.table` returns them.

    Raises
    ------
    OSError
        The folder cannot be written.
    """
    # Voxels with the id of a segment are part of it, unless edits made them part of another.
    more = np.setdiff1d(segments, supervoxels)
    rows = np.empty(len(supervoxels) + len(more), MEMBER)
    rows["supervoxel"] = np.concatenate([supervoxels, more])
    rows["segment"] = np.concatenate([segments, more])
    for name, order in ((NAMES, ("supervoxel",)), (MEMBERS, ("segment", "supervoxel"))):
        with writing(os.path.join(folder, name)) as add:
            add(np.sort(rows, order=order))


class JobPlan:
    """The files of a job, mapped into memory.

    Parameters
    ----------
    folder : str
        Folder of the job.

    Raises
    ------
    OSError
        A file is missing.
    """

    def __init__(self, folder: str) -> None:
        self._names = _mapped(folder, NAMES, MEMBER)
        self._members = _mapped(folder, MEMBERS, MEMBER)
        self._alone = _mapped(folder, ALONE, LEVELS)
        self._joined = _mapped(folder, JOINED, LEVELS)

    def __len__(self) -> int:
        return len(self._alone) + len(self._joined)

    def of_labels(self, labels: Ids) -> tuple[Ids, NDArray[np.uint8]]:
        """Return the segments of supervoxels, and their levels: 0 if they are not in the job."""
        at, is_named = _places(self._names["supervoxel"], labels)
        segments = labels.copy()
        segments[is_named] = self._names["segment"][at[is_named]]
        levels = np.zeros(len(labels), np.uint8)
        for table, part in ((self._alone, ~is_named), (self._joined, is_named)):
            levels[part] = _levels(table, segments[part])
        return segments, levels

    def has(self, segment: int, members: Ids) -> bool:
        """Return whether the job has a mesh of exactly these supervoxels.

        Parameters
        ----------
        segment : int
            Id of the segment.
        members : numpy.ndarray
            uint64, the supervoxels, sorted.
        """
        ids = np.array([segment], np.uint64)
        if not (_levels(self._alone, ids)[0] or _levels(self._joined, ids)[0]):
            return False
        column = self._members["segment"]
        first, last = (int(np.searchsorted(column, ids[0], side)) for side in ("left", "right"))
        own = self._members["supervoxel"][first:last] if last > first else ids
        return np.array_equal(own, members)


def _mapped(folder: str, name: str, dtype: np.dtype[Any]) -> NDArray[Any]:
    path = os.path.join(folder, name)
    # An empty file cannot be mapped.
    return np.memmap(path, dtype, "r") if os.path.getsize(path) else np.empty(0, dtype)


def _places(column: Ids, ids: Ids) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return the places of ids in a sorted column, and which of them are there."""
    at = np.searchsorted(column, ids)
    is_there = at < len(column)
    is_there[is_there] = column[at[is_there]] == ids[is_there]
    return at, is_there


def _levels(table: NDArray[Any], segments: Ids) -> NDArray[np.uint8]:
    at, is_there = _places(table["segment"], segments)
    levels = np.zeros(len(segments), np.uint8)
    levels[is_there] = table["levels"][at[is_there]]
    return levels
