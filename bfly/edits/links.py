"""Links between places, each valid from one operation to the next change of the place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bfly.edits.columns import Columns, grown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Places = NDArray[np.int64]

__all__ = ["Links"]

NEVER = np.uint32(2**32 - 1)
"""Marks a place without a link: later than any operation."""


class Links:
    """The parent of each place; that of a root is the root itself.

    The first link of a place is beside it. Later ones, which take a split or an undo, are in a list
    of their own, each with the one before it. Nothing that a reader of an earlier state looks at
    ever changes.
    """

    def __init__(self) -> None:
        self._count = 0
        self._places: Columns = {
            "parent": np.zeros(0, np.uint32),
            "since": np.zeros(0, np.uint32),
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
        column = self._places
        linked = column["since"][places] <= at
        parents = np.where(linked, column["parent"][places], places)
        if self._relinked > 1:
            later, since = column["later"][places], self._later["since"]
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
        roots = places.copy()
        left = np.arange(len(roots))
        while len(left):
            parents = self.parents(roots[left], at)
            moved = parents != roots[left]
            left = left[moved]
            roots[left] = parents[moved]
        return roots

    def first_parents(self) -> Places:
        """Return the parents of all places, as long as none has a later link."""
        column = {name: each[: self._count] for name, each in self._places.items()}
        return np.where(column["since"] < NEVER, column["parent"], np.arange(self._count))

    def append(self, count: int) -> None:
        """Add places, each a root."""
        first, after = self._count, self._count + count
        self._places = grown(self._places, first, after)
        self._places["since"][first:after] = NEVER
        self._count = after

    def set(self, places: Places, parents: Places, at: int) -> None:
        """Set the parents of places, each once, as of an operation that is the latest one."""
        column = self._places
        fresh = (column["since"][places] == NEVER) & (column["later"][places] == 0)
        column["parent"][places[fresh]] = parents[fresh]
        column["since"][places[fresh]] = at
        again = places[~fresh]
        first, after = self._relinked, self._relinked + len(again)
        self._later = grown(self._later, first, after)
        self._later["parent"][first:after] = parents[~fresh]
        self._later["since"][first:after] = at
        self._later["before"][first:after] = column["later"][again]
        self._relinked = after
        column["later"][again] = np.arange(first, after)
