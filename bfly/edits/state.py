"""One state of a channel's edits: its segments after an operation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from bfly.edits.forest import Forest
    from bfly.edits.recent import Recent

    Ids = NDArray[np.uint64]

__all__ = ["EditState"]


class EditState:
    """The segments after an operation. Later operations do not change them.

    Parameters
    ----------
    forest : Forest
        Forest with the operation applied, and perhaps later ones.
    position : int
        Number of the operation; 0 before the first.
    splits : sequence of str
        As in documented messages.
    recent : Recent, optional
        What the latest operations of the forest touched.

    Attributes
    ----------
    current : bool
        False once there is a later state of the channel.
    newest : callable or None
        Returns the latest state of the channel; see `latest`.
    count : int
        Number of edited supervoxels, plus names that are not among them.
    last_number : int
        The last number of a root id, if this is the latest state.
    """

    def __init__(
        self, forest: Forest, position: int, splits: Sequence[str], recent: Recent | None = None
    ) -> None:
        self.position = position
        self.splits = tuple(splits)
        self.current = True
        self.newest: Callable[[], EditState] | None = None
        self._forest = forest
        self._recent = recent
        self.count = forest.count
        self.last_number = forest.numbers

    def segments(self, supervoxels: Ids) -> Ids:
        """Return the name of the segment of each supervoxel."""
        return self._forest.segments(supervoxels, self.position, self.count)

    def latest(self) -> EditState:
        """Return the latest state of the channel."""
        return self.newest() if self.newest else self

    def touched_since(self, position: int) -> Ids | None:
        """Return the names of the segments touched after an operation, as of before they were.

        None if they are too many, or unknown, or if the operation is later than this state.
        """
        return self._recent.between(position, self.position) if self._recent else None

    def knows(self, supervoxels: Ids) -> NDArray[np.bool_]:
        """Return a mask of the supervoxels that an operation names."""
        edited: NDArray[np.bool_] = self._forest.find(supervoxels, self.count) >= 0
        return edited

    def is_name(self, ids: Ids) -> NDArray[np.bool_]:
        """Return a mask of the ids that name segments: all whose segment has no other name."""
        held: NDArray[np.bool_] = self._holders(ids) >= 0
        same: NDArray[np.bool_] = self.segments(ids) == ids
        return held | same

    def _holders(self, names: Ids) -> NDArray[np.int64]:
        return self._forest.holders(names, self.position, self.count)

    def named(self, names: Ids) -> tuple[Ids, Ids]:
        """Return a supervoxel and the name of each segment that has one of these names."""
        holders = self._holders(names)
        return self._forest.ids(holders[holders >= 0]), names[holders >= 0]

    def standing_for(self, given: int) -> list[int]:
        """Return a supervoxel of each segment that an id refers to, this one if it is in it.

        That is the segment of this name, or else the segment of this supervoxel. If no operation
        names the supervoxel, its id looks the same as the name, and refers to both.
        """
        ids = np.array([given], np.uint64)
        one, _ = self.named(ids)
        if not len(one) or not self.knows(ids)[0]:
            return [*one.tolist(), given]
        return [given] if self.segments(ids)[0] == given else one.tolist()

    def numbers(self, supervoxels: Ids) -> Ids:
        """Return the number of the root id of each supervoxel's segment; 0 for unedited ones."""
        places = self._forest.find(supervoxels, self.count)
        numbers = np.zeros(len(supervoxels), np.uint64)
        known = places >= 0
        roots = self._forest.roots(places[known], self.position)
        numbers[known] = self._forest.numbers_of(roots, self.position)
        return numbers

    def numbered(self, number: int) -> Ids:
        """Return the sorted supervoxels of the segment whose root id has a number; or none.

        A number that another operation replaced since is not found.
        """
        root, _ = self._forest.numbered(number)
        place = np.array([root])
        if root < 0 or self._forest.numbers_of(place, self.position)[0] != number:
            return np.empty(0, np.uint64)
        if self._forest.roots(place, self.position)[0] != root:
            return np.empty(0, np.uint64)
        return np.sort(self._forest.members(root, self.position))

    def segment_of(self, supervoxel: int) -> Ids:
        """Return the sorted supervoxels of the segment of a supervoxel."""
        place = self._forest.find(np.array([supervoxel], np.uint64), self.count)
        if place[0] < 0:
            return np.array([supervoxel], np.uint64)
        root = int(self._forest.roots(place, self.position)[0])
        return np.sort(self._forest.members(root, self.position))

    def members(self, given: int) -> Ids:
        """Return the sorted supervoxels of all that an id refers to; see `standing_for`."""
        ids = np.array(self.standing_for(given), np.uint64)
        places = self._forest.find(ids, self.count)
        roots = self._forest.roots(places[places >= 0], self.position).tolist()
        members = [self._forest.members(root, self.position) for root in set(roots)]
        return np.sort(np.concatenate([ids[places < 0], *members]))

    def table(self) -> tuple[Ids, Ids]:
        """Return all edited supervoxels and the names of their segments, sorted by segment.

        The supervoxels of each segment are sorted.
        """
        supervoxels, segments = self._forest.table(self.position, self.count)
        order = np.lexsort((supervoxels, segments))
        return supervoxels[order], segments[order]
