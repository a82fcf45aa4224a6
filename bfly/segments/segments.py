"""Segments of a channel: the labels of its index, joined as the edits say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bfly.segments.posting import POSTING, summed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bfly.edits.state import EditState
    from bfly.segments.index import Index

    Ids = NDArray[np.uint64]

__all__ = ["Segments"]

BATCH = 1 << 16
"""Labels that are read at once from the list by size."""


class Segments:
    """What is known of the segments after an operation.

    Parameters
    ----------
    index : Index
        Index of the labels, which are supervoxels.
    edits : EditState, optional
        The edits that apply.
    """

    def __init__(self, index: Index, edits: EditState | None = None) -> None:
        self.index = index
        self._edits = edits
        self._edited: NDArray[np.void] | None = None
        self._supervoxels = np.empty(0, np.uint64)

    def of(self, ids: Ids) -> NDArray[np.void]:
        """Return a row for each id that has voxels, in ascending order.

        Parameters
        ----------
        ids : numpy.ndarray
            uint64. The id of a supervoxel that is part of a segment stands for the segment.

        Returns
        -------
        numpy.ndarray
            `POSTING`; the label is the id that was given.
        """
        ids = np.unique(ids)
        if self._edits is None:
            return self.index.of(ids)
        found = [np.empty(0, POSTING)]
        edited = self._edits.knows(ids) | self._edits.is_name(ids)
        found.append(self.index.of(ids[~edited]))
        for one in ids[edited].tolist():
            members = self.members(one)
            found.append(self.index.of_groups(members, np.full(len(members), one, np.uint64)))
        rows = np.concatenate(found)
        return rows[np.argsort(rows["label"], kind="stable")]

    def members(self, id: int) -> Ids:  # noqa: A002
        """Return the supervoxels of a segment, in ascending order."""
        if self._edits is None:
            return np.array([id], np.uint64)
        return self._edits.members(id)

    def largest(self, start: int, count: int) -> NDArray[np.void]:
        """Return a page of the segments, the largest first.

        Parameters
        ----------
        start, count : int
            The first place of the page in that order, and its length.

        Returns
        -------
        numpy.ndarray
            `POSTING`, at most `count` rows.
        """
        ids: list[Ids] = []
        left, skip = count, start
        for some in self._by_size():
            page = some[skip : skip + left]
            skip, left = max(0, skip - len(some)), left - len(page)
            ids.append(page)
            if not left:
                break
        wanted = np.concatenate(ids or [np.empty(0, np.uint64)])
        rows = self.of(wanted)
        return rows[np.searchsorted(rows["label"], wanted)]

    def _by_size(self) -> Iterator[Ids]:
        """Yield the ids of all segments, the largest first, in parts."""
        edited = self._edited_segments()
        for start in range(0, self.index.summary.labels, BATCH):
            sizes = self.index.largest(start, start + BATCH)
            kept = ~np.isin(sizes["label"], self._supervoxels)
            least = sizes["voxels"][-1] if start + BATCH < self.index.summary.labels else 0
            joins = edited["voxels"] >= least
            voxels = np.concatenate([sizes["voxels"][kept], edited["voxels"][joins]])
            labels = np.concatenate([sizes["label"][kept], edited["label"][joins]])
            edited = edited[~joins]
            yield labels[np.argsort(~voxels, kind="stable")]

    def _edited_segments(self) -> NDArray[np.void]:
        """Return a row for each segment of several supervoxels or with another name."""
        if self._edited is None:
            rows = np.empty(0, POSTING)
            if self._edits is not None:
                self._supervoxels, names = self._edits.table()
                rows = self.index.of_groups(self._supervoxels, names)
            self._edited = summed(rows)
        return self._edited
