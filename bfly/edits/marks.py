"""The past states that a forest has: those after which nothing else was applied with them."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from typing import NamedTuple

__all__ = ["Mark", "Marks"]


class Mark(NamedTuple):
    """A past state of a forest.

    Parameters
    ----------
    position : int
        Its last operation.
    places : int
        Number of places.
    numbers : int
        The last number of a root id.
    splits : tuple of str
        As in documented messages.
    """

    position: int
    places: int
    numbers: int
    splits: tuple[str, ...]


class Marks:
    """The past states of a forest, by position, in 24 bytes each."""

    def __init__(self) -> None:
        self._positions, self._counts, self._numbers = (array("q") for _ in range(3))
        self._since = array("q")
        self._splits: list[tuple[str, ...]] = []

    def add(self, mark: Mark) -> None:
        """Add the state after the last operation that was applied."""
        if not self._splits or self._splits[-1] != mark.splits:
            self._since.append(mark.position)
            self._splits.append(mark.splits)
        self._counts.append(mark.places)
        self._numbers.append(mark.numbers)
        self._positions.append(mark.position)

    def get(self, position: int) -> Mark | None:
        """Return the state after an operation; None if the forest does not have it."""
        place = bisect_left(self._positions, position)
        if place == len(self._positions) or self._positions[place] != position:
            return None
        splits = self._splits[bisect_right(self._since, position) - 1]
        return Mark(position, self._counts[place], self._numbers[place], splits)
