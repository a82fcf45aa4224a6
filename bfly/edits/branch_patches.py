"""Patches of a branch that are done again on another line, under supervoxel ids of that."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.edits.branch import place_of
from bfly.edits.patch import given, patch_words
from bfly.edits.patches import Patch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from bfly.edits.channel_lines import Found
    from bfly.edits.operation import Operation
    from bfly.edits.patch import Fresh
    from bfly.edits.state import EditState

    Ids = NDArray[np.uint64]

__all__ = ["LOST", "BranchPatches", "again", "expected", "known_ids", "renamed", "twins"]

LOST = int(np.iinfo(np.uint64).max)
"""Stands for a supervoxel that the other line does not have. No id is that large."""

AT_ONCE = 1 << 20
"""Voxels that are looked up at once."""

LISTS = ("supervoxels", "names", "parts", "rests", "facing", "edges", "adopts", "pairs")
"""The fields of an operation that have supervoxels, or names that may be ids of such."""


def twins(one: Found, other: Found, since: int) -> list[tuple[Operation, Operation]]:
    """Return the patches of two states that do the same: what was done again, in either direction.

    Parameters
    ----------
    one, other : Found
        The states.
    since : int
        The last operation that both have.

    Returns
    -------
    list of tuple of Operation
        Those that count in the second state are last.
    """
    (first, at), (second, there) = (_patching(each, since) for each in (one, other))
    same = [(at[each.again], each) for each in second if each.again in at]
    same += [(each, there[each.again]) for each in first if each.again in there]
    counts = other.edits.history.taken_back.until(other.state.position).counts
    return sorted(same, key=lambda pair: counts(pair[1].id))


def _patching(found: Found, since: int) -> tuple[list[Operation], dict[tuple[int, ...], Operation]]:
    history, last = found.edits.history, found.state.position
    numbers = [each.number for each in history.patches() if since < each.number <= last]
    operations = history.operations(numbers)
    return operations, {place_of(found.edits, each.id): each for each in operations}


def known_ids(one: Found, other: Found, since: int) -> dict[int, int]:
    """Return the supervoxels of patches of a state → those of the same patches in another one.

    Parameters
    ----------
    one, other, since
        As those of `twins`.

    Returns
    -------
    dict
        With `LOST` for what the other one does not have. Of several patches that did the same one
        again, the latest that counts is meant.
    """
    known: dict[int, int] = {}
    for each in _patching(one, since)[0]:
        known |= dict.fromkeys(_made(each), LOST)
    for here, there in twins(one, other, since):
        known |= zip(_made(here), _made(there), strict=True)
    return known


def _made(operation: Operation) -> list[int]:
    """Return the supervoxels that a patch made, in an order that its repetitions keep."""
    new = operation.pairs[:, 1]
    return list(dict.fromkeys(new[new > 0].tolist()))


def renamed(ids: Ids, known: Mapping[int, int]) -> Ids:
    """Return ids with others instead of those that are known."""
    if not known or not len(ids):
        return ids
    keys = np.array(sorted(known), np.uint64)
    values = np.array([known[key] for key in keys.tolist()], np.uint64)
    places = np.minimum(np.searchsorted(keys, ids), len(keys) - 1)
    return np.where(keys[places] == ids, values[places], ids)


class BranchPatches:
    """The supervoxels of a branch's patches, and what they are on the line that it is merged into.

    Parameters
    ----------
    source, target : Found
        The branch, and the other line.
    since : int
        The last operation that both have.
    new : numpy.ndarray
        int64: operations of the other line that the branch does not have.
    ids : callable
        Returns ids for new supervoxels of the other line.
    """

    def __init__(
        self,
        source: Found,
        target: Found,
        since: int,
        new: NDArray[np.int64],
        ids: Callable[[], Fresh],
    ) -> None:
        self._source, self._target = source.edits.history, target.edits.history
        self._known, self._new, self._ids = known_ids(source, target, since), new, ids

    @cached_property
    def _fresh(self) -> Fresh:
        return self._ids().settled()

    def here(self, operation: Operation, state: EditState) -> Operation:
        """Return an operation of the branch with the ids of the other line.

        What it makes gets new ids; see `forget`.

        Raises
        ------
        BadRequest
            There is no id left.
        """
        if made := _made(operation):
            taken = self._fresh.take(state, len(made)).tolist()
            self._known |= zip(made, taken, strict=True)
        fields: dict[str, Any] = {
            name: renamed(getattr(operation, name), self._known) for name in LISTS
        }
        # A segment may go on to be called as a supervoxel that is not here.
        fields["names"] = np.where(fields["names"] == LOST, operation.names, fields["names"])
        return replace(operation, **fields)

    def supervoxels(self, ids: Ids) -> Ids:
        """Return ids of the other line for those of supervoxels of the branch."""
        return renamed(ids, self._known)

    def forget(self, operation: Operation) -> None:
        """Note that a patch of the branch is not done."""
        self._known |= dict.fromkeys(_made(operation), LOST)

    def lacks(self, operation: Operation, state: EditState) -> Ids | None:
        """Return what is gone of the supervoxels that an operation of `here` needs.

        None if nothing is. What was never there is left out.
        """
        named = [operation.parts, operation.rests, operation.adopts[:, 0]]
        if not len(operation.runs):
            named.append(operation.supervoxels)
        ids = np.setdiff1d(np.concatenate(named), operation.pairs[:, 1])
        return None if self.there(ids, state).all() else ids[state.is_gone(ids)]

    @staticmethod
    def there(ids: Ids, state: EditState) -> NDArray[np.bool_]:
        """Return a mask of the ids of `here` that are not lost, and that no undo took away."""
        there: NDArray[np.bool_] = (ids != LOST) & ~state.is_gone(ids)
        return there

    def takers(self, gone: Ids) -> tuple[int, ...]:
        """Return the operations of the other line that took away supervoxels."""
        history = self._target
        makers = [each.number for each in history.patches() if np.isin(each.new, gone).any()]
        return tuple(sorted({history.undone[each] for each in makers if each in history.undone}))

    def labels(self, operation: Operation, state: EditState) -> Ids:
        """Return what the voxels of a patch of the branch have in a state of the other line.

        Parameters
        ----------
        operation : Operation
            As it is on the branch.
        state : EditState
            The state.

        Returns
        -------
        numpy.ndarray
            uint64, in the order of `Runs.voxels`.
        """
        patch = Patch.of(operation)
        before = self._source.patches_at(operation.id - 1)
        # Backwards, each voxel comes to what the files have.
        back = [
            replace(each, old=each.new, new=each.old)
            for each in reversed(before.touching(patch.box))
        ]
        voxels, pair = patch.runs().voxels()
        found = [np.empty(0, np.uint64)]
        for start in range(0, len(voxels), AT_ONCE):
            some = slice(start, start + AT_ONCE)
            places = np.stack(np.unravel_index(voxels[some], patch.box.shape), axis=1)
            places += np.array(patch.box.start)
            labels = patch.old[pair[some]]
            for each in back:
                labels = each.at(places, labels)
            found.append(state.patches.at(places, labels))
        return np.concatenate(found)

    def others(self, operation: Operation) -> tuple[int, ...]:
        """Return the other line's new operations on the voxels of a patch of the branch."""
        patch, history, found = Patch.of(operation), self._target, set()
        for each in history.patches():
            if each.meets(patch):
                found.add(history.undone.get(each.number, each.number))
        return tuple(np.intersect1d(list(found), self._new).tolist())


def expected(operation: Operation) -> Ids:
    """Return what the voxels of a patch had before; uint64, in the order of `Runs.voxels`."""
    patch = Patch.of(operation)
    return patch.old[patch.runs().voxels()[1]]


def again(state: EditState, operation: Operation, labels: Ids) -> Operation | None:
    """Return the operation that paints the voxels of an operation; None if they are so already.

    Parameters
    ----------
    state : EditState
        State before.
    operation : Operation
        With the ids of the line of the state. It paints.
    labels : numpy.ndarray
        uint64: what its voxels have.
    """
    words: dict[str, Any] = {"points": operation.points}
    patch = Patch.of(operation)
    voxels, pair = patch.runs().voxels()
    if np.array_equal(labels, expected(operation)):
        words |= {"box": operation.box, "pairs": operation.pairs, "runs": operation.runs}
    else:
        before = np.zeros(patch.box.shape, np.uint64)
        before.reshape(-1)[voxels] = labels
        after = before.copy()
        after.reshape(-1)[voxels] = patch.new[pair]
        words |= patch_words(patch.box, before, after)
    if not len(words["pairs"]):
        return None
    old, new = np.unique(words["pairs"][:, 0]), int(patch.new[0])
    change = given(state, old, new, operation.adopts[:, 0].tolist())
    return change.operation(state, operation.kind, operation.who, **words)
