"""Names and root ids of segments, as of each operation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bfly.edits.columns import Columns, grown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Places = NDArray[np.int64]

__all__ = ["Titles"]


class Titles:
    """The titles of segments: a place that holds the name, and the number of the root id.

    A segment gets a new title whenever an operation changes it. Titles are in the order of their
    numbers, which do not descend.
    """

    def __init__(self) -> None:
        self._count = 1  # title 0 means that there is none
        self._operation = 0
        self._latest: Columns = {"title": np.zeros(0, np.uint32)}
        self._places = 0
        self._titles: Columns = {
            "top": np.zeros(1, np.uint32),
            "name": np.zeros(1, np.uint32),
            "since": np.zeros(1, np.uint32),
            "before": np.zeros(1, np.uint32),
            "number": np.zeros(1, np.uint64),
        }

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, with the space reserved for growth."""
        return sum(column.nbytes for column in (*self._titles.values(), *self._latest.values()))

    @property
    def last(self) -> int:
        """The number of the latest title; 0 if there is none."""
        return int(self._titles["number"][self._count - 1])

    def _of(self, roots: Places, at: int) -> Places:
        """Return the title of each root after an operation; 0 where it has none."""
        titles = self._latest["title"].take(roots)
        # A writer notes the operation before it sets any title as the latest of its root.
        since, before = self._titles["since"], self._titles["before"]
        if self._operation <= at:
            return titles.astype(np.int64)
        left = np.flatnonzero(since[titles] > at)
        while len(left):
            titles[left] = before[titles[left]]
            left = left[since[titles[left]] > at]
        return titles.astype(np.int64)

    def names(self, roots: Places, at: int) -> Places:
        """Return the place of the name of each root."""
        titles = self._of(roots, at)
        return np.where(titles > 0, self._titles["name"][titles], roots)

    def numbers(self, roots: Places, at: int) -> NDArray[np.uint64]:
        """Return the number of the root id of each root; 0 where no operation changed it."""
        numbers: NDArray[np.uint64] = self._titles["number"].take(self._of(roots, at))
        return numbers

    def find(self, number: int) -> tuple[int, int]:
        """Return the root that had a number, and the operation since which; -1, 0 if none."""
        numbers = self._titles["number"][: self._count]
        title = int(np.searchsorted(numbers, np.uint64(number)))
        if not 0 < title < self._count or numbers[title] != number:
            return -1, 0
        return int(self._titles["top"][title]), int(self._titles["since"][title])

    def append(self, count: int) -> None:
        """Add places without titles."""
        self._latest = grown(self._latest, self._places, self._places + count)
        self._places += count

    def add(self, roots: Places, names: Places, numbers: NDArray[np.uint64], at: int) -> None:
        """Add new titles for roots, each once; no number is below one before.

        Parameters
        ----------
        roots, names : numpy.ndarray
            Places of the roots, and of their names.
        numbers : numpy.ndarray
            Their numbers.
        at : int
            The operation.
        """
        order = np.argsort(numbers)
        first, after = self._count, self._count + len(roots)
        self._titles = grown(self._titles, first, after)
        column = self._titles
        column["top"][first:after], column["name"][first:after] = roots[order], names[order]
        column["since"][first:after], column["number"][first:after] = at, numbers[order]
        column["before"][first:after] = self._latest["title"][roots[order]]
        self._count = after
        # A branch also copies titles of before it began.
        self._operation = max(self._operation, at)
        self._latest["title"][roots[order]] = np.arange(first, after)
