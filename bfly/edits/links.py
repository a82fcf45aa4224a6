"""Links between places, each valid from one operation to the next change of the place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bfly.edits.columns import Columns, grown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Places = NDArray[np.int64]

__all__ = ["Links"]

NEVER = np.uint64(2**64 - 1)
"""Marks a place without a link: later than any operation."""

LAST = 2**32 - 2
"""The highest operation."""

PARENT = np.uint64(2**32 - 1)
"""Mask of the parent in a link."""


class Links:
    """The parent of each place; that of a root is the root itself.

    The first link of a place is beside it: the operation that made it above the parent, in one
    number, so that a look-up reads memory once. Later ones, which take a split or an undo, are in
    a list of their own, each with the one before it. Nothing that a reader of an earlier state
    looks at ever changes.
    """

    def __init__(self) -> None:
        self._count = 0
        self._places: Columns = {
            "link": np.zeros(0, np.uint64),
            "later": np.zeros(0, np.uint32),
        }
        self._relinked = 1  # place 0 means that there is no later link
        self._later: Columns = {
            "parent": np.zeros(1, np.uint32),
            "since": np.zeros(1, np.uint32),
            "before": np.zeros(1, np.uint32),
        }

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, with the space reserved for growth."""
        return sum(column.nbytes for column in (*self._places.values(), *self._later.values()))

    def parents(self, places: Places, at: int) -> Places:
        """Return the parents of places after an operation."""
        links = self._places["link"].take(places)
        unlinked = links >= np.uint64((at + 1) << 32)
        links &= PARENT
        parents: Places = links.view(np.int64)
        np.copyto(parents, places, where=unlinked)
        if self._relinked > 1:
            later, since = self._places["later"].take(places), self._later["since"]
            again = np.flatnonzero(later)
            later = later[again]
            left = np.flatnonzero(since[later] > at)
            while len(left):
                later[left] = self._later["before"][later[left]]
                left = left[since[later[left]] > at]
            again, later = again[later > 0], later[later > 0]
            parents[again] = self._later["parent"][later]
        return parents

    def roots(self, places: Places, at: int) -> Places:
        """Return the root above each place after an operation."""
        roots = self.parents(places, at)
        left = np.flatnonzero(roots != places)
        while len(left):
            above = roots[left]
            parents = self.parents(above, at)
            moved = parents != above
            left = left[moved]
            roots[left] = parents[moved]
        return roots

    def first_parents(self) -> Places:
        """Return the parents of all places, as long as none has a later link."""
        return self.parents(np.arange(self._count), LAST)

    def append(self, count: int) -> None:
        """Add places, each a root."""
        first, after = self._count, self._count + count
        self._places = grown(self._places, first, after)
        self._places["link"][first:after] = NEVER
        self._count = after

    def set(self, places: Places, parents: Places, at: int) -> None:
        """Set the parents of places, each once, as of an operation that is the latest one."""
        column = self._places
        fresh = (column["link"][places] == NEVER) & (column["later"][places] == 0)
        column["link"][places[fresh]] = parents[fresh].astype(np.uint64) | np.uint64(at << 32)
        again = places[~fresh]
        first, after = self._relinked, self._relinked + len(again)
        self._later = grown(self._later, first, after)
        self._later["parent"][first:after] = parents[~fresh]
        self._later["since"][first:after] = at
        self._later["before"][first:after] = column["later"][again]
        self._relinked = after
        column["later"][again] = np.arange(first, after)
