"""One state of a channel's edits: its segments after an operation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bfly.edits.forest import Forest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bfly.edits.patches import Patches

    Ids = NDArray[np.uint64]

__all__ = ["EditState"]

NOTHING = Forest()
"""Segments without any edit. Nothing is added to them."""


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
    patches : Patches
        The voxels with other supervoxels than the files say.

    Attributes
    ----------
    patches : Patches
        As above.
    patched : EditState
        The same state, but without segments: each supervoxel, with patches, is one of its own.
    current : bool
        False once there is a later state of the channel.
    count : int
        Number of edited supervoxels, plus names that are not among them.
    last_number : int
        The last number of a root id, if this is the latest state.
    """

    def __init__(
        self, forest: Forest, position: int, splits: Sequence[str], patches: Patches
    ) -> None:
        self.position = position
        self.splits = tuple(splits)
        self.patches = patches
        self.current = True
        self._forest = forest
        self.count = forest.count
        self.last_number = forest.numbers
        self.patched = self if forest is NOTHING else EditState(NOTHING, position, (), patches)

    def retire(self) -> None:
        """Note that there is a later state."""
        self.current = self.patched.current = False

    @property
    def key(self) -> str:
        """Text that tells it from other states of the channel."""
        return f"{self.position} patched" if self.patched is self else str(self.position)

    @property
    def changes_labels(self) -> bool:
        """Whether a label may be another one than in the files."""
        return bool(self.count or self.patches)

    def segments(self, supervoxels: Ids) -> Ids:
        """Return the name of the segment of each supervoxel."""
        return self._forest.segments(supervoxels, self.position, self.count)

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

    def is_used(self, ids: Ids) -> NDArray[np.bool_]:
        """Return a mask of the ids that an operation, also a later one, gave or named."""
        return self._forest.has(ids)

    def is_gone(self, ids: Ids) -> NDArray[np.bool_]:
        """Return a mask of the supervoxels that a patch made which was taken back."""
        return np.isin(ids, self.patches.gone)

    def table(self) -> tuple[Ids, Ids]:
        """Return all edited supervoxels and the names of their segments, sorted by segment.

        The supervoxels of each segment are sorted.
        """
        supervoxels, segments = self._forest.table(self.position, self.count)
        if len(self.patches.gone):
            there = ~self.is_gone(supervoxels)
            supervoxels, segments = supervoxels[there], segments[there]
        order = np.lexsort((supervoxels, segments))
        return supervoxels[order], segments[order]
