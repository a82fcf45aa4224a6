"""Merging a branch into another line: what it did is done there again, operation by operation."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.edits.branch import draft_of, place_of
from bfly.edits.branch_patches import BranchPatches, again, expected
from bfly.edits.change import Change
from bfly.edits.contradictions import (
    NO_COLOUR,
    Contradiction,
    bridges,
    coloured,
    pairs_of,
    parted_since,
)
from bfly.edits.diff import meeting
from bfly.edits.edges import lists_of
from bfly.edits.operation import Operation
from bfly.edits.part_names import Names, is_name
from bfly.edits.patch import adopting, touch
from bfly.edits.undo import undone
from bfly.errors import Conflict, TooLarge

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from bfly.edits.channel_lines import Found
    from bfly.edits.edges import Edges
    from bfly.edits.patch import Fresh

    Ids = NDArray[np.uint64]

__all__ = ["OURS", "THEIRS", "BranchMerge"]

OURS, THEIRS = "ours", "theirs"
"""What counts in a contradiction: the line that is merged into, or the branch."""

GONE = "It names supervoxels that a patch made, and that are not here."

TAKEN = "It was taken back here."

CHANGED = "It changes voxels that have other supervoxels here."

MOST = 10_000
"""Operations since a branch began, at most, and as many of the line that it is merged into."""


class BranchMerge:
    """What merging a branch does.

    Parameters
    ----------
    source : Found
        The branch.
    target : Found
        The line that it is merged into.
    fresh : int
        An id that nothing has, from which on further ones are free.
    choices : mapping
        Operation of the branch → `OURS` or `THEIRS`.
    ids : callable
        Returns ids for the supervoxels of patches; called only if the branch has some.

    Attributes
    ----------
    operations : list of Operation
        Those that follow the target's state, of the authors of the branch's operations.
    contradictions : list of Contradiction
        Those without a choice; their operations of the branch are left out.
    left_out : list of int
        Operations of the branch that were left out by choice.

    Raises
    ------
    TooLarge
        There are too many operations.
    BadRequest
        No id is left for a patch.
    Absent, DatabaseError
        As `History.operations`.
    """

    def __init__(
        self,
        source: Found,
        target: Found,
        fresh: int,
        choices: Mapping[int, str],
        ids: Callable[[], Fresh],
    ) -> None:
        self._since = meeting(source, target)
        self._source, self._target = source.edits, target.edits
        self._fresh, self._choices = fresh, choices
        self._draft = draft_of(target.edits, target.state.position)
        theirs, ours = _between(source, self._since), _between(target, self._since)
        counts, stands = (
            each.edits.history.taken_back.until(each.state.position).counts
            for each in (source, target)
        )
        # What one side has done again from the other is no news to it.
        self._merged: dict[tuple[int, ...], list[int]] = {}
        for each in ours:
            self._merged.setdefault(each.again, []).append(each.id)
        known = {each.again for each in theirs}
        places = {place_of(source.edits, each.id) for each in theirs}
        new = [
            each
            for each in ours
            if stands(each.id)
            and place_of(target.edits, each.id) not in known
            and each.again not in places
        ]
        self._new = np.array([each.id for each in new], np.int64)
        self._parting = [each for each in new if len(each.parts)]
        self._patches = BranchPatches(source, target, self._since, self._new, ids)
        own = {place_of(target.edits, each.id) for each in ours}
        # What was taken back because the branch took it back is left to the undo of that.
        again, undone_by = {each.id: each.again for each in ours}, target.edits.history.undone
        there = {
            place
            for place in places
            for number in self._merged.get(place, ())
            if stands(number) or again.get(undone_by.get(number, 0)) in places
        }
        self.operations: list[Operation] = []
        self.contradictions: list[Contradiction] = []
        self.left_out: list[int] = []
        # What the branch does again is put before what followed it, so that follows once more.
        self._is_repeated = is_late = False
        for operation in theirs:
            place = place_of(source.edits, operation.id)
            if not counts(operation.id) or operation.again in own:
                continue
            self._is_repeated = place in there
            if not self._is_repeated or (is_late and not operation.undoes):
                made = len(self.operations)
                self._do(operation, place)
                # Paint parts and joins nothing, so what followed it stays as it is.
                is_paint = len(operation.runs) > 0 and len(operation.parts) == 0
                is_late |= len(self.operations) > made and not is_paint

    def _do(self, operation: Operation, place: tuple[int, int]) -> None:
        original, state = operation, self._draft.state
        undone_by = self._draft.history.undone
        if len(operation.runs) and any(n not in undone_by for n in self._merged.get(place, ())):
            # Its voxels have what it gave them here; later patches may have followed.
            return
        if not operation.undoes:
            operation = self._patches.here(operation, state)
            gone = self._patches.lacks(operation, state)
            if gone is not None:
                others = self._patches.takers(gone)
                self._may(Contradiction(operation, others, (), GONE, can_win=False))
                self._patches.forget(original)
                return
        made: Operation | None
        if operation.undoes:
            made = self._undo(operation)
        elif operation.splits:
            made = self._splits(operation)
        elif len(operation.runs):
            made = self._patch(operation, original, place)
        elif len(operation.parts):
            made = self._part(operation, original)
        else:
            made = self._join(operation)
        if made is not None:
            self._add(made, place)
        else:
            self._patches.forget(original)
        if len(operation.edges) and not operation.undoes:
            self._hold(operation, place)

    def _add(self, made: Operation, place: tuple[int, int]) -> None:
        made = replace(made, base=self._draft.origin, again=place)
        self._draft.append(lambda _: [made])
        self.operations.append(made)

    def _hold(self, operation: Operation, place: tuple[int, int]) -> None:
        """Join what a split held together by edges of its own, after others were taken back."""
        if operation.id in self.left_out:
            return
        if any(each.operation is operation for each in self.contradictions):
            return
        state, change = self._draft.state, Change()
        there = self._patches.there(operation.edges, state).all(axis=1)
        for a, b in operation.edges[there].tolist():
            pair = np.array([[a, b]], np.uint64)
            names = state.segments(pair[0])
            if names[0] != names[1] and not parted_since(pair, self._parting, self._target):
                change.join([a, b], int(names[0]))
        if change.joined:
            self._add(change.operation(state, "merge", operation.who), place)

    def _patch(
        self, operation: Operation, original: Operation, place: tuple[int, int]
    ) -> Operation | None:
        """Change the same voxels. What paints may win over others; a split finds them as it did."""
        state = self._draft.state
        labels = self._patches.labels(original, state)
        is_paint, is_same = not len(operation.parts), np.array_equal(labels, expected(operation))
        undone_by = self._target.history.undone
        taken = {undone_by[n] for n in self._merged.get(place, ()) if n in undone_by}
        if taken or not is_same:
            others = tuple(sorted(taken)) if is_same else self._patches.others(original)
            reason = TAKEN if is_same else CHANGED
            found = Contradiction(operation, others, (), reason, can_win=is_paint or is_same)
            # Until there is a choice, later operations are planned as if the branch counted.
            if not self._may(found) and (operation.id in self.left_out or not found.can_win):
                return None
        if is_paint:
            return again(state, operation, labels)
        return self._part(operation, original)

    def _may(self, found: Contradiction) -> bool:
        """Return whether an operation is done in spite of a contradiction."""
        if self._is_repeated:
            # Others have decided otherwise since.
            return False
        choice = self._choices.get(found.operation.id)
        if choice == OURS:
            self.left_out.append(found.operation.id)
        elif choice != THEIRS or not found.can_win:
            self.contradictions.append(found)
        return choice == THEIRS and found.can_win

    def _undo(self, operation: Operation) -> Operation | None:
        """Take back what both lines have; what the branch alone has is left out already."""
        history, state = self._draft.history, self._draft.state
        places = [place_of(self._source, number) for number in operation.undoes]
        here = [
            number
            for undone_one, place in zip(operation.undoes, places, strict=True)
            for number in (
                [undone_one] if undone_one <= self._since else self._merged.get(place, [])
            )
        ]
        numbers = [number for number in here if number not in history.undone]
        if not numbers:
            return None
        try:
            return undone(state, history, numbers, self._fresh, who=operation.who)
        except Conflict as error:
            made = {n for number in numbers for n in history.lineage.made(number)}
            others = np.intersect1d(history.lineage.later(made), self._new).tolist()
            self._may(Contradiction(operation, tuple(others), (), str(error), can_win=False))
            return None

    def _splits(self, operation: Operation) -> Operation | None:
        state = self._draft.state
        new = tuple(text for text in operation.splits if text not in state.splits)
        if not new:
            return None
        words: dict[str, Any] = {"splits": new, "points": operation.points, "knows_before": True}
        return Operation(state.position + 1, operation.kind, operation.who, **words)

    def _join(self, operation: Operation) -> Operation | None:
        state, change = self._draft.state, Change()
        pairs = pairs_of(operation)
        apart = state.segments(pairs[:, 0]) != state.segments(pairs[:, 1])
        parted = parted_since(pairs[apart], self._parting, self._target)
        if parted is not None:
            other, pair = parted
            reason = f"It joins {pair[0]} and {pair[1]}, which were parted since."
            if not self._may(Contradiction(operation, (other.id,), pair, reason)):
                return None
        lists = lists_of(operation.supervoxels, operation.sizes)
        for supervoxels, name in zip(lists, operation.names.tolist(), strict=True):
            own = state.segments(supervoxels)
            if (own != own[0]).any():
                is_free = name in own or not is_name(state, name)
                change.join(supervoxels.tolist(), name if is_free else int(own[0]))
        if not change.joined:
            return None
        words: dict[str, Any] = {"points": operation.points}
        return change.operation(state, operation.kind, operation.who, **words)

    def _part(self, operation: Operation, original: Operation) -> Operation | None:
        state, adopts = self._draft.state, operation.adopts
        change = Change(adopts=list(map(tuple, adopts.tolist())))
        supervoxels, colours = coloured(original, self._source.at(original.id))
        supervoxels = self._patches.supervoxels(supervoxels)
        order = np.argsort(supervoxels)
        order = order[self._patches.there(supervoxels[order], state)]
        supervoxels, colours = supervoxels[order], colours[order]
        heads = supervoxels.copy()
        heads[np.searchsorted(supervoxels, adopts[:, 1])] = adopts[:, 0]
        segments, owners = state.segments(heads), state.segments(adopts[:, 0])
        fresh = max(self._fresh, state.patches.last + 1, int(adopts.max(initial=0)) + 1)
        for segment in np.unique(segments).tolist():
            own = segments == segment
            if (colours[own] == colours[own][0]).all():
                continue
            pairs = adopts[owners == segment]
            edges = adopting(state, self._draft.history, int(heads[own][0]), pairs)
            part = self._parts(operation, edges, supervoxels, colours)
            if part is None:
                return None
            # Without what the branch took back, the segment may hang together in other ways.
            if (part == part[0]).all():
                continue
            change.part(state, edges, part, Names(fresh))
        parted = np.isin(owners, state.segments(np.array(change.rests, np.uint64)))
        touch(change, state, adopts[~parted, 0].tolist())
        if not change.parts and not change.adopts:
            return None
        words = {name: getattr(operation, name) for name in ("points", "box", "pairs", "runs")}
        return change.operation(state, operation.kind, operation.who, **words)

    def _parts(
        self, operation: Operation, edges: Edges, supervoxels: Ids, colours: NDArray[np.int64]
    ) -> NDArray[np.int64] | None:
        """Return the part of each member of a segment; None if the operation is not done.

        What others have joined to it since stays with the part that it was joined to.
        """
        places = np.searchsorted(supervoxels, edges.members)
        places[places == len(supervoxels)] = 0
        known = supervoxels[places] == edges.members
        own = np.where(known, colours[places], NO_COLOUR)
        ends = own[edges.ends]
        between = (ends != NO_COLOUR).all(axis=1) & (ends[:, 0] != ends[:, 1])
        free = edges.kept(~between)
        # An edge that was made since says that two parts belong together.
        since = np.isin(edges.made_by, self._new)
        joins = [
            (int(edges.made_by[place]), *edges.members[edges.ends[place]].tolist())
            for place in np.flatnonzero(between & since)[:1]
        ]
        joins += bridges(free, own)
        others = np.intersect1d([number for number, *_ in joins], self._new).tolist()
        if others:
            a, b = joins[0][1:]
            reason = f"It parts {a} and {b}, which were joined since."
            found = Contradiction(operation, tuple(others), (a, b), reason)
            if not self._may(found):
                return None
            by = np.isin(free.made_by, [number for number, *_ in joins])
            free = free.kept(~(by & (own[free.ends] == NO_COLOUR).any(axis=1)))
        part = free.parts() + len(supervoxels)
        colour_of = dict(zip(part[own != NO_COLOUR].tolist(), own[own != NO_COLOUR], strict=True))
        return np.array([colour_of.get(each, each) for each in part.tolist()], np.int64)


def _between(found: Found, since: int) -> list[Operation]:
    """Return the operations after one, up to a state."""
    last = found.state.position
    if last - since > MOST:
        raise TooLarge(
            f"There are {last - since} operations since the operation {since}, where the two "
            f"lines parted; allowed are {MOST}."
        )
    return found.edits.history.operations(range(since + 1, last + 1))
