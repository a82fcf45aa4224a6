"""Taking operations back, and doing them again: an operation of its own."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.edits.change import Change
from bfly.edits.described import described
from bfly.edits.edges import edges_of, lists_of, narrowed
from bfly.edits.toggled import Toggled
from bfly.edits.undo_names import Pieces, UndoNames
from bfly.errors import BadRequest, Conflict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bfly.edits.edges import Edges
    from bfly.edits.history import History
    from bfly.edits.operation import Operation
    from bfly.edits.state import EditState

    Ids = NDArray[np.uint64]

__all__ = ["redone", "undone"]

NONE = np.empty(0, np.uint64)


def undone(
    state: EditState, history: History, numbers: Sequence[int], fresh: int, **words: Any
) -> Operation:
    """Return the operation that takes back others, as one.

    What a merge joined is parted, and what a split parted is joined. Other operations stay.

    Parameters
    ----------
    state : EditState
        Latest state.
    history : History
        What the log says.
    numbers : sequence of int
        The operations, of any age.
    fresh : int
        An id from which on no supervoxel has one.
    **words
        Further fields of the operation.

    Raises
    ------
    BadRequest
        An operation changed no segments.
    Absent
        There is no such operation.
    Conflict
        An operation is taken back already, or later ones have built on it. The message names them.
    """
    operations = history.operations(numbers)
    for operation in operations:
        if not operation.numbers and not operation.undoes:
            raise BadRequest(f"The operation {described([operation])} changed no segments.")
        if by := history.undone.get(operation.id):
            taken = described(history.operations([by]))
            raise Conflict(f"The operation {operation.id} is taken back already, by {taken}.")
    patches = Toggled(state, history, operations)
    patches.check()
    return _Undo(state, history, operations, fresh, patches).operation(**words)


def redone(
    state: EditState, history: History, numbers: Sequence[int], fresh: int, **words: Any
) -> Operation:
    """Return the operation that does again what was taken back; as `undone`.

    Parameters
    ----------
    state, history, fresh, **words
        As those of `undone`.
    numbers : sequence of int
        Operations that are taken back. If one was taken back together with others, these as well.

    Raises
    ------
    Conflict
        An operation is not taken back, or was together with others that are not mentioned.
    """
    for number in numbers:
        if number not in history.undone:
            raise Conflict(f"The operation {number} is not taken back, so it cannot be done again.")
    takers = sorted({history.undone[number] for number in numbers})
    together = {n for each in history.operations(takers) for n in each.undoes}
    if more := sorted(together - set(numbers)):
        raise Conflict(
            f"The operation {numbers[0]} was taken back together with {more}; do them again "
            "together."
        )
    return undone(state, history, takers, fresh, **words)


class _Undo:
    """The change that takes back operations.

    All segments that come from what the operations changed are put together anew, from the edges
    that the operations left would have made.
    """

    def __init__(
        self,
        state: EditState,
        history: History,
        operations: Sequence[Operation],
        fresh: int,
        patches: Toggled,
    ) -> None:
        self._state, self._history, self._operations = state, history, operations
        self._fresh, self._patches = max(fresh, state.patches.last + 1), patches
        self._taken = [operation.id for operation in operations]
        lineage = history.lineage
        numbers = {n for each in operations for n in lineage.made(each.id)}
        self._later = lineage.later(numbers)
        numbers |= lineage.descendants(numbers)
        segments = [state.numbered(n) for n in sorted(numbers) if not lineage.replaced_by(n)]
        # What patches made that count again has been in segments that nothing changed since.
        segments += [state.segment_of(one) for one in patches.back.tolist()]
        current = self._current = np.unique(np.concatenate([NONE, *segments]))
        self._numbers = state.numbers(current)
        led = lineage.operations_of(np.unique(self._numbers).tolist())
        self._led = narrowed(current, history.operations(led))
        self._kept: dict[tuple[int, ...], Edges] = {}
        self._edges = self._without(0).and_ever(self._led)
        part = self._edges.parts()
        self._pieces = Pieces(current, state.segments(current), self._numbers, part)

    def _without(self, first: int) -> Edges:
        """Return the edges if those of the operations that are not before one are taken back."""
        taken = tuple(number for number in self._taken if number >= first)
        if taken not in self._kept:
            # What is left after one operation is what the next one finds.
            edges = edges_of(self._current, self._history.that_count(self._led, taken))
            self._kept = {taken: edges}
        return self._kept[taken]

    def operation(self, **words: Any) -> Operation:
        """Return the operation."""
        self._check_all()
        change, pieces = Change(), self._pieces
        if not len(pieces.members):
            return change.operation(self._state, "undo", undoes=tuple(self._taken), **words)
        names = self._named()
        for places, edges in self._edges.apart(self._numbers):
            part = pieces.part[places]
            if (part != part[0]).any():
                change.part(self._state, edges, part, names)
        patched = np.isin(pieces.members, self._patches.ids)
        touched = np.isin(pieces.part, pieces.part[patched])[pieces.heads]
        renamed = names.renamed | touched
        later = np.split(np.arange(len(pieces.heads)), pieces.starts[1:])
        for rows, name in zip(later, names.names, strict=True):
            if len(rows) > 1 or (renamed[rows[0]] and not pieces.parted[rows[0]]):
                change.join(pieces.members[pieces.heads[rows]].tolist(), name)
        since = self._history.that_count(self._history.operations(self._later), self._taken)
        if since and not (change.parts or change.joined or self._patches):
            raise Conflict(
                f"Nothing is left of {described(self._operations)}, after {described(since)}."
            )
        for name in self._displaced(names).tolist():
            change.join([name], name)
        return change.operation(self._state, "undo", undoes=tuple(self._taken), **words)

    def _named(self) -> UndoNames:
        """Return the names of the segments."""
        former: dict[int, int] = {}
        for each in self._operations:
            parts = lists_of(each.parts, each.part_sizes)
            named = [*each.supervoxels.tolist(), *(int(part[0]) for part in parts)]
            # The oldest name counts: it is that of the state before all operations.
            for one, name in zip(named, each.was.tolist(), strict=True):
                former.setdefault(one, name)
        for each in self._operations:
            # What a patch made was in no segment.
            for new in each.pairs[:, 1].tolist():
                former.pop(new, None)
        lists = (lst for each in self._operations for lst in (each.names, each.part_names))
        given = {name for names in lists for name in names.tolist()}
        tables = None if self._is_redo() else self._tables(self._led)
        return UndoNames(self._state, self._pieces, former, given, tables, self._fresh)

    def _is_redo(self) -> bool:
        return all(each.undoes for each in self._operations)

    def _tables(self, led: Sequence[Operation]) -> set[int]:
        """Return the names that tables gave which are left."""
        left = self._history.that_count(led, self._taken)
        return {name for each in left if each.kind == "import" for name in each.names.tolist()}

    def _displaced(self, names: UndoNames) -> Ids:
        """Return supervoxels whose ids become free, and that others kept from their segments."""
        freed = names.freed()
        numbers = self._state.numbers(freed)
        is_other = (numbers > 0) & np.isin(numbers, self._numbers, invert=True)
        freed, numbers = freed[is_other], numbers[is_other]
        if not len(freed) or self._is_redo():
            return freed[:0]
        called = self._state.segments(freed)
        led = self._history.operations(self._history.lineage.operations_of(numbers.tolist()))
        is_foreign = self._state.numbers(called) != numbers
        is_foreign &= np.isin(called, list(self._tables(led)), invert=True)
        freed, numbers = freed[is_foreign], numbers[is_foreign]
        first: Ids = freed[np.unique(numbers, return_index=True)[1]]
        return first

    def _check_all(self) -> None:
        """Check each operation; those that only joined, with one look at the edges of all.

        Those that changed voxels are looked at one by one: what they made is gone without them.

        Raises
        ------
        Conflict
            As `_check`.
        """
        first = self._taken[0]
        counting = self._history.that_count(self._led)
        is_parted = any(len(each.parts) and each.id >= first for each in counting)
        if is_parted or any(
            each.undoes or len(each.parts) or len(each.pairs) for each in self._operations
        ):
            for operation in self._operations:
                self._check(operation)
            return
        # One after the other comes back: what it joined has to be apart until then.
        tops = _Tops()
        members, part = self._edges.members, self._pieces.part
        for operation in self._operations:
            for a, b in _pairs(operation):
                ends = np.searchsorted(members, np.array([a, b], np.uint64))
                if tops.of(int(part[ends[0]])) == tops.of(int(part[ends[1]])):
                    self._refuse(operation, self._without(operation.id), a, b)
            for a, b in part[edges_of(members, [operation]).ends].tolist():
                tops.join(a, b)

    def _check(self, operation: Operation) -> None:
        """Check that an operation still stands, and can be taken back, after all later ones.

        Raises
        ------
        Conflict
            Others parted what it joined, or joined it too; or the other way round.
        """
        parts = lists_of(operation.parts, operation.part_sizes)
        parted = [(int(part[0]), rest) for part, rest in zip(parts, operation.rests, strict=True)]
        joined = _pairs(operation)
        before, after = self._without(operation.id), self._without(operation.id + 1)
        for pairs, edges, is_wanted in (
            (joined, after, True),
            (joined, before, False),
            (parted, after, False),
            (parted, before, True),
        ):
            if edges is before:
                # Without its patch, what that made is in no segment.
                made = set(operation.pairs[:, 1].tolist())
                pairs = [pair for pair in pairs if made.isdisjoint(pair)]
            if not pairs:
                continue
            part = edges.parts()
            ends = np.searchsorted(edges.members, np.array(pairs, np.uint64))
            wrong = np.flatnonzero((part[ends[:, 0]] == part[ends[:, 1]]) != is_wanted)
            if len(wrong):
                self._refuse(operation, edges, *pairs[wrong[0]])

    def _refuse(self, operation: Operation, edges: Edges, a: int, b: int) -> None:
        """Refuse to take back an operation, because of the others that stand against it."""
        bridge = edges.bridge(a, b)
        since = self._history.operations([bridge] if bridge else self._later)
        since = self._history.that_count(since, self._taken)
        if not since:
            # What stands against it is taken back, too, or with it.
            return
        raise Conflict(
            f"The operation {described([operation])} cannot be taken back for {a} and {b} by "
            f"itself, since others came after it: {described(since)}. "
            "Take those back first, or together with it."
        )


class _Tops:
    """Labels that become one, by union and find."""

    def __init__(self) -> None:
        self._above: dict[int, int] = {}

    def of(self, label: int) -> int:
        """Return the label that all labels joined with this one have in common."""
        above = self._above
        while (upper := above.get(label, label)) != label:
            above[label] = label = above.get(upper, upper)
        return label

    def join(self, a: int, b: int) -> None:
        """Let two labels become one."""
        if (top := self.of(a)) != (other := self.of(b)):
            self._above[top] = other


def _pairs(operation: Operation) -> list[tuple[int, int]]:
    """Return neighbours in the lists that an operation joined, unless they were joined already."""
    was = dict(zip(operation.supervoxels.tolist(), operation.was.tolist(), strict=False))
    lists = lists_of(operation.supervoxels, operation.sizes)
    pairs = (pair for each in lists for pair in pairwise(each.tolist()))
    return [(a, b) for a, b in pairs if was[a] != was[b]]
