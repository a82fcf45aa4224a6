"""The segments of a branch: those that it changed, over the state that it began from.

A supervoxel that the branch did not touch is looked up in that state. When an operation of the
branch touches a segment, its supervoxels are first copied, as one segment. So each segment of the
state is either copied as a whole, or not at all, and a new branch costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from typing_extensions import override

from bfly.edits.forest import Forest
from bfly.edits.state import EditState

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.edits.marks import Mark
    from bfly.edits.recent import Recent

    Ids = NDArray[np.uint64]
    Places = NDArray[np.int64]
    Mask = NDArray[np.bool_]

__all__ = ["BranchState", "Overlay"]


class Overlay(Forest):
    """A forest of the segments that a branch changed.

    Parameters
    ----------
    base : EditState
        The state that the branch began from.
    """

    def __init__(self, base: EditState) -> None:
        super().__init__()
        self.base = base
        self.numbers = base.last_number

    @override
    def add(self, ids: Ids) -> Places:
        unknown = self.find(ids, self.count) < 0
        if unknown.any():
            members, sizes, names = self.base.groups(ids[unknown])
            super().add(members)
            # These numbers are never read: the operation that copies a segment gives it a new one.
            numbers = np.full(len(names), self._titles.last, np.uint64)
            self.join(members, sizes, names, self.base.position, numbers)
        return super().add(ids)


class BranchState(EditState):
    """A state of a branch.

    Parameters
    ----------
    overlay : Overlay
        The segments that the branch changed.
    mark : Mark
        The state.
    recent : Recent
        What the latest operations of the branch touched.
    """

    _forest: Overlay

    def __init__(self, overlay: Overlay, mark: Mark, recent: Recent) -> None:
        super().__init__(
            overlay,
            mark.position,
            mark.splits,
            mark.patches,
            mark.places,
            mark.numbers,
            recent,
        )
        self._base = overlay.base
        self.count += self._base.count

    def _touched(self, supervoxels: Ids) -> Mask:
        """Return a mask of the supervoxels whose segment the branch changed."""
        return super().knows(supervoxels)

    @override
    def segments(self, supervoxels: Ids) -> Ids:
        segments = super().segments(supervoxels)
        left = ~self._touched(supervoxels)
        segments[left] = self._base.segments(supervoxels[left])
        return segments

    @override
    def knows(self, supervoxels: Ids) -> Mask:
        return self._touched(supervoxels) | self._base.knows(supervoxels)

    @override
    def is_name(self, ids: Ids) -> Mask:
        named: Mask = np.isin(ids, self.named(ids)[1]) | (self.segments(ids) == ids)
        return named

    @override
    def named(self, names: Ids) -> tuple[Ids, Ids]:
        one, found = super().named(names)
        below, same = self._base.named(names)
        left = ~self._touched(below)
        return np.concatenate([one, below[left]]), np.concatenate([found, same[left]])

    @override
    def numbers(self, supervoxels: Ids) -> Ids:
        numbers = super().numbers(supervoxels)
        left = ~self._touched(supervoxels)
        numbers[left] = self._base.numbers(supervoxels[left])
        return numbers

    @override
    def numbered(self, number: int) -> Ids:
        if number > self._base.last_number:
            return super().numbered(number)
        members = self._base.numbered(number)
        return members[:0] if self._touched(members[:1]).any() else members

    @override
    def segment_of(self, supervoxel: int) -> Ids:
        if self._touched(np.array([supervoxel], np.uint64))[0]:
            return super().segment_of(supervoxel)
        return self._base.segment_of(supervoxel)

    @override
    def groups(self, supervoxels: Ids) -> tuple[Ids, Places, Ids]:
        mine = self._touched(supervoxels)
        own, below = super().groups(supervoxels[mine]), self._base.groups(supervoxels[~mine])
        return (
            np.concatenate([own[0], below[0]]),
            np.concatenate([own[1], below[1]]),
            np.concatenate([own[2], below[2]]),
        )

    @override
    def members(self, given: int) -> Ids:
        parts = [self.segment_of(each) for each in self.standing_for(given)]
        return np.unique(np.concatenate(parts))

    @override
    def is_used(self, ids: Ids) -> Mask:
        return super().is_used(ids) | self._base.is_used(ids)

    @override
    def table(self) -> tuple[Ids, Ids]:
        below, names = self._base.table()
        left = ~self._touched(below)
        supervoxels, segments = self._forest.table(self.position, self._places)
        supervoxels = np.concatenate([supervoxels, below[left]])
        segments = np.concatenate([segments, names[left]])
        there = ~self.is_gone(supervoxels)
        supervoxels, segments = supervoxels[there], segments[there]
        order = np.lexsort((supervoxels, segments))
        return supervoxels[order], segments[order]
