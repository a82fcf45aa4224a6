"""The past states that a forest has: those after which nothing else was applied with them."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from bfly.edits.patches import Patches

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
    patches : Patches
        The voxels with other supervoxels than the files say.
    """

    position: int
    places: int
    numbers: int
    splits: tuple[str, ...]
    patches: Patches


class Marks:
    """The past states of a forest, by position, in 24 bytes each."""

    def __init__(self) -> None:
        self._positions, self._counts, self._numbers = (array("q") for _ in range(3))
        self._since = array("q")
        self._rare: list[tuple[tuple[str, ...], Patches]] = []

    def add(self, mark: Mark) -> None:
        """Add the state after the last operation that was applied."""
        rare = mark.splits, mark.patches
        if not self._rare or any(a is not b for a, b in zip(self._rare[-1], rare, strict=True)):
            self._since.append(mark.position)
            self._rare.append(rare)
        self._counts.append(mark.places)
        self._numbers.append(mark.numbers)
        self._positions.append(mark.position)

    def get(self, position: int) -> Mark | None:
        """Return the state after an operation; None if the forest does not have it."""
        place = bisect_left(self._positions, position)
        if place == len(self._positions) or self._positions[place] != position:
            return None
        splits, patches = self._rare[bisect_right(self._since, position) - 1]
        return Mark(position, self._counts[place], self._numbers[place], splits, patches)
