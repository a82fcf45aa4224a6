"""Patches that an undo takes back, or that it brings back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bfly.edits.described import described
from bfly.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from bfly.edits.history import History
    from bfly.edits.operation import Operation
    from bfly.edits.patches import Patch
    from bfly.edits.state import EditState

    Ids = NDArray[np.uint64]

__all__ = ["Toggled"]


class Toggled:
    """The patches that no longer count, or count again, once operations are taken back.

    Parameters
    ----------
    state : EditState
        State before.
    history : History
        What the log says.
    operations : sequence of Operation
        Those that are taken back.

    Attributes
    ----------
    ids : numpy.ndarray
        uint64, sorted: the supervoxels that get or lose voxels, without those that go.
    back : numpy.ndarray
        uint64, sorted: those that patches made which count again.
    """

    def __init__(self, state: EditState, history: History, operations: Sequence[Operation]) -> None:
        self._state, self._history = state, history
        self._taken = {operation.id for operation in operations}
        self._made = {n for each in operations for n in history.lineage.made(each.id)}
        self._leaving, self._returning = history.toggled(self._taken)
        self._gone = _ids(patch.new for patch in self._leaving)
        self.back = _ids(patch.new for patch in self._returning)
        moving = [*self._leaving, *self._returning]
        ids = _ids(ids for patch in moving for ids in (patch.old, patch.new))
        self.ids: Ids = np.setdiff1d(ids, self._gone)

    def __bool__(self) -> bool:
        """Return whether there are such patches."""
        return bool(self._leaving or self._returning)

    def check(self) -> None:
        """Check that nothing stands that has built on the patches, or came in their place.

        Raises
        ------
        Conflict
            A later patch changed the same voxels, an operation names what a patch made, or a
            patch that returns would not find the voxels as they were.
        """
        moving = {patch.number: patch for patch in (*self._leaving, *self._returning)}
        for patch in moving.values():
            for other in self._state.patches.touching(patch.box):
                is_later = other.number > patch.number and other.number not in moving
                if is_later and other.meets(patch):
                    self._refuse([other.number], "others changed the same voxels later")
        for patch in self._returning:
            self._check_before(patch)
        if len(self._gone):
            later = self._history.operations(self._history.lineage.later(self._made))
            counting = self._history.that_count(later, self._taken)
            named = [each.id for each in counting if np.isin(_named(each), self._gone).any()]
            if named:
                self._refuse(named, "others name the supervoxels that it made")

    def _check_before(self, patch: Patch) -> None:
        """Check that a patch that returns finds its voxels as it found them first."""
        leaving = {each.number for each in self._leaving}
        earlier = [*self._state.patches.touching(patch.box), *self._returning]
        now = {
            other.number
            for other in earlier
            if other.number < patch.number and other.number not in leaving and other.meets(patch)
        }
        former = self._history.patches_at(patch.number - 1).touching(patch.box)
        then = {other.number for other in former if other.meets(patch)}
        if others := sorted(then - now):
            self._refuse(others, f"{patch.number} changed voxels of theirs", "Do those again")
        if others := sorted(now - then):
            self._refuse(others, f"they changed voxels before {patch.number}")

    def _refuse(self, others: Sequence[int], why: str, advice: str = "Take those back") -> None:
        taken = described(self._history.operations(self._taken))
        told = described(self._history.operations(others))
        raise Conflict(
            f"The operation {taken} cannot be taken back by itself, since {why}: {told}. {advice} "
            "first, or together with it."
        )


def _ids(lists: Iterable[Ids]) -> Ids:
    """Return the ids of lists, sorted, without the background."""
    ids = np.unique(np.concatenate([np.empty(0, np.uint64), *lists]))
    return ids[ids > 0]


def _named(operation: Operation) -> Ids:
    """Return the supervoxels that an operation names, but for those that its patch made."""
    lists = (operation.supervoxels, operation.parts, operation.rests)
    pairs = (operation.edges.ravel(), operation.adopts.ravel())
    return np.concatenate([*lists, *pairs])
