"""The label index after patches: that of the stored labels, corrected in the patched cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from typing_extensions import override

from bfly.segments.posting import CELL, POSTING
from bfly.segments.postings import Postings
from bfly.segments.touched import version_of
from bfly.tables.columns import among

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from bfly.geometry import Zyx
    from bfly.segments.index import Index
    from bfly.segments.recount import Recount
    from bfly.segments.touched import Touched

    Ids = NDArray[np.uint64]

__all__ = ["PatchedIndex"]


class PatchedIndex(Postings):
    """An index with the postings of some cells recounted; safe to use from any thread.

    The memory is that of the recounts: 104 bytes for each label that a patch changes in a cell.

    Parameters
    ----------
    stored : Index
        Index of the stored labels.
    touched : Touched
        The patched cells.
    recounts : iterable of Recount
        What differs, one for each patched cell.
    shape : tuple of int
        Voxels of the channel (z, y, x).
    """

    def __init__(
        self, stored: Index, touched: Touched, recounts: Iterable[Recount], shape: Zyx
    ) -> None:
        self.stored, self.touched = stored, touched
        self._grid = np.array([-(-size // side) for size, side in zip(shape, CELL, strict=True)])
        none = np.empty(0, POSTING)
        each = list(recounts)
        self._before = np.concatenate([none, *(recount.before for recount in each)])
        self._after = self._ordered(np.concatenate([none, *(recount.after for recount in each)]))
        both = (self._before, self._after)
        self.changed = np.unique(np.concatenate([rows["label"] for rows in both]))
        self._cells = np.unique(np.concatenate([self._cell(rows) for rows in both]))
        corners = np.array([*touched.cells], np.int64).reshape(-1, 3)
        self._touched = np.sort(self._numbers(corners))
        self._versions = dict(
            zip(self._numbers(corners).tolist(), touched.cells.values(), strict=True)
        )
        self._gone = np.sort(self._keys(self._before))
        self._growth = np.zeros(len(self.changed), np.int64)
        for rows, sign in zip(both, (-1, 1), strict=True):
            places = np.searchsorted(self.changed, rows["label"])
            np.add.at(self._growth, places, sign * rows["voxels"].astype(np.int64))

    @property
    @override
    def last(self) -> int:
        return self.stored.last

    @override
    def postings(self, labels: Ids) -> NDArray[np.void]:
        rows = self.stored.postings(labels)
        own = np.unique(labels)
        if not among(own, self.changed).any():
            return rows
        added = self._after[among(self._after["label"], own)]
        return self._ordered(np.concatenate([self._kept(rows), added]))

    @override
    def parts(self) -> Iterator[NDArray[np.void]]:
        labels, at = self._after["label"], 0
        for rows in self.stored.parts():
            if not len(rows):
                continue
            stop = int(np.searchsorted(labels, rows["label"][-1], "right"))
            yield self._ordered(np.concatenate([self._kept(rows), self._after[at:stop]]))
            at = stop
        yield self._after[at:]

    @override
    def version(self, labels: Ids) -> str:
        # A cell that a label has left is in `before` alone.
        left = self._before[among(self._before["label"], np.unique(labels))]
        rows = [self.postings(labels), left]
        cells = np.unique(np.concatenate([self._cell(each) for each in rows]))
        return version_of(
            f"{cell} {self._versions[cell]}" for cell in cells[among(cells, self._touched)].tolist()
        )

    @override
    def growth(self, labels: Ids) -> NDArray[np.int64]:
        growth = np.zeros(len(labels), np.int64)
        hit = among(labels, self.changed)
        growth[hit] = self._growth[np.searchsorted(self.changed, labels[hit])]
        return growth

    def _kept(self, rows: NDArray[np.void]) -> NDArray[np.void]:
        """Return the stored postings that no patch changed."""
        old = np.flatnonzero(among(rows["label"], self.changed))
        old = old[among(self._cell(rows[old]), self._cells)]
        gone = np.zeros(len(rows), bool)
        gone[old] = among(self._keys(rows[old]), self._gone)
        return rows[~gone]

    def _cell(self, rows: NDArray[np.void]) -> Ids:
        """Return the number of the cell of each posting."""
        return self._numbers(rows["low"].astype(np.int64) // CELL)

    def _numbers(self, cells: NDArray[np.int64]) -> Ids:
        z, y, x = cells.T
        _, height, width = self._grid.tolist()
        numbers: Ids = ((z * height + y) * width + x).astype(np.uint64)
        return numbers

    def _keys(self, rows: NDArray[np.void]) -> Ids:
        """Return a number for the label and the cell of each posting, which are changed ones."""
        labels = np.searchsorted(self.changed, rows["label"])
        cells = np.searchsorted(self._cells, self._cell(rows))
        return (labels * len(self._cells) + cells).astype(np.uint64)

    def _ordered(self, rows: NDArray[np.void]) -> NDArray[np.void]:
        """Return postings in the order of an index: by label, then by cell."""
        return rows[np.lexsort((self._cell(rows), rows["label"]))]
