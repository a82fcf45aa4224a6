"""One state of a channel's edits: its segments after an operation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bfly.edits.forest import Forest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from bfly.edits.patches import Patches
    from bfly.edits.recent import Recent

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
    count, last_number : int, optional
        Those of a past state: the places that the forest had, and the last number of a root id.
    recent : Recent, optional
        What the latest operations of the forest touched.

    Attributes
    ----------
    patches : Patches
        As above.
    patched : EditState
        The same state, but without segments: each supervoxel, with patches, is one of its own.
    current : bool
        False once there is a later state of the channel.
    newest : callable or None
        Returns the latest state of the channel; see `latest`.
    count : int
        Number of edited supervoxels, plus names that are not among them.
    last_number : int
        The last number of a root id.
    line : str
        What the state is of; "" for the latest one of the channel itself. Two states with the same
        position and line are equal.
    """

    def __init__(
        self,
        forest: Forest,
        position: int,
        splits: Sequence[str],
        patches: Patches,
        count: int | None = None,
        last_number: int | None = None,
        recent: Recent | None = None,
    ) -> None:
        self.position = position
        self.splits = tuple(splits)
        self.patches = patches
        self.current = True
        self.newest: Callable[[], EditState] | None = None
        self.line = ""
        self._forest = forest
        self._recent = recent
        self._places = forest.count if count is None else count
        self.count = self._places
        self.last_number = forest.numbers if last_number is None else last_number
        self.patched = self if forest is NOTHING else EditState(NOTHING, position, (), patches)

    def retire(self) -> None:
        """Note that there is a later state."""
        self.current = self.patched.current = False

    def on_line(self, line: str) -> EditState:
        """Set `line`, and return the state."""
        self.line = self.patched.line = line
        return self

    @property
    def key(self) -> str:
        """Text that tells it from other states of the channel and its branches."""
        kind = " patched" if self.patched is self else ""
        return f"{self.position}{self.line}{kind}"

    @property
    def changes_labels(self) -> bool:
        """Whether a label may be another one than in the files."""
        return bool(self.count or self.patches)

    def segments(self, supervoxels: Ids) -> Ids:
        """Return the name of the segment of each supervoxel."""
        return self._forest.segments(supervoxels, self.position, self._places)

    def latest(self) -> EditState:
        """Return the latest state of the channel."""
        return self.newest() if self.newest else self

    def touched_since(self, position: int) -> Ids | None:
        """Return the names of the segments touched after an operation, as of before they were.

        None if they are too many, or unknown, or if the operation is later than this state. What
        patches changed is not among them.
        """
        if self.patched is self:
            return np.empty(0, np.uint64)
        return self._recent.between(position, self.position) if self._recent else None

    def knows(self, supervoxels: Ids) -> NDArray[np.bool_]:
        """Return a mask of the supervoxels that an operation names."""
        edited: NDArray[np.bool_] = self._forest.find(supervoxels, self._places) >= 0
        return edited

    def is_name(self, ids: Ids) -> NDArray[np.bool_]:
        """Return a mask of the ids that name segments: all whose segment has no other name."""
        held: NDArray[np.bool_] = self._holders(ids) >= 0
        same: NDArray[np.bool_] = self.segments(ids) == ids
        return held | same

    def _holders(self, names: Ids) -> NDArray[np.int64]:
        return self._forest.holders(names, self.position, self._places)

    def named(self, names: Ids) -> tuple[Ids, Ids]:
        """Return a supervoxel and the name of each segment that has one of these names."""
        holders = self._holders(names)
        return self._forest.ids(holders[holders >= 0]), names[holders >= 0]

    def standing_for(self, given: int, is_supervoxel: bool = True) -> list[int]:
        """Return a supervoxel of each segment that an id refers to, this one if it is in it.

        That is the segment of this name, or else the segment of this supervoxel. If no operation
        names the supervoxel, its id looks the same as the name, and refers to both.

        Parameters
        ----------
        given : int
            The id.
        is_supervoxel : bool
            Whether a supervoxel has it.
        """
        ids = np.array([given], np.uint64)
        one, _ = self.named(ids)
        if not len(one) or not self.knows(ids)[0]:
            return [*one.tolist(), *[given] * is_supervoxel]
        return [given] if self.segments(ids)[0] == given else one.tolist()

    def numbers(self, supervoxels: Ids) -> Ids:
        """Return the number of the root id of each supervoxel's segment; 0 for unedited ones."""
        places = self._forest.find(supervoxels, self._places)
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
        place = self._forest.find(np.array([supervoxel], np.uint64), self._places)
        if place[0] < 0:
            return np.array([supervoxel], np.uint64)
        root = int(self._forest.roots(place, self.position)[0])
        return np.sort(self._forest.members(root, self.position))

    def groups(self, supervoxels: Ids) -> tuple[Ids, NDArray[np.int64], Ids]:
        """Return the segments of supervoxels.

        Returns
        -------
        members : numpy.ndarray
            uint64, the supervoxels of one segment after the other.
        sizes : numpy.ndarray
            The number of supervoxels of each segment.
        names : numpy.ndarray
            uint64, their names.
        """
        places = self._forest.find(supervoxels, self._places)
        roots = np.unique(self._forest.roots(places[places >= 0], self.position))
        alone = np.unique(supervoxels[places < 0])
        parts = [self._forest.members(root, self.position) for root in roots.tolist()]
        sizes = [*np.ones(len(alone), np.int64), *map(len, parts)]
        names = np.concatenate([alone, self._forest.names(roots, self.position)])
        return np.concatenate([alone, *parts]), np.array(sizes, np.int64), names

    def members(self, given: int) -> Ids:
        """Return the sorted supervoxels of all that an id refers to; see `standing_for`."""
        ids = np.array(self.standing_for(given), np.uint64)
        places = self._forest.find(ids, self._places)
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
        supervoxels, segments = self._forest.table(self.position, self._places)
        if len(self.patches.gone):
            there = ~self.is_gone(supervoxels)
            supervoxels, segments = supervoxels[there], segments[there]
        order = np.lexsort((supervoxels, segments))
        return supervoxels[order], segments[order]
