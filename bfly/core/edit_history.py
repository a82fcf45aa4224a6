"""The history of a channel's edits, as JSON."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.errors import Absent
from bfly.queries.edit_actions import MOST

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bfly.core.root_ids import RootIds
    from bfly.edits.channel import ChannelEdits
    from bfly.edits.operation import Operation
    from bfly.edits.state import EditState

__all__ = ["EditHistory"]


class EditHistory:
    """What a channel's log says, with root ids. All ids are text.

    Parameters
    ----------
    channel : ChannelEdits
        The edits of the channel, or of a branch.
    roots : RootIds
        Its root ids.
    state : EditState
        The state that is asked for; what came later is not told.
    """

    def __init__(self, channel: ChannelEdits, roots: RootIds, state: EditState) -> None:
        self._channel, self._roots, self._state = channel, roots, state
        self._history = channel.history

    def told(self, operation: Operation) -> dict[str, Any]:
        """Return an operation: author, time, what it made and replaced, and whether it stands."""
        numbers = self._history.lineage.made(operation.id)
        names = np.concatenate([operation.part_names, operation.names]).tolist()
        # Segments that an undo left without voxels are not told.
        gone = self._channel.state.is_gone(np.array(names, np.uint64)).tolist()
        made = [
            {"id": str(name), "root": str(self._roots.of_number(number))}
            for number, name, is_gone in zip(numbers[:MOST], names, gone, strict=False)
            if not (is_gone and operation.undoes)
        ]
        before = self._history.lineage.replaced(operation.id)[:MOST]
        return {
            "operation": operation.id,
            "kind": operation.kind,
            "user": operation.who,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(operation.time)),
            "seen": operation.base,
            "segments": made,
            "count": len(numbers),
            "replaced": [str(self._roots.of_number(number)) for number in before],
            "points": operation.points[:MOST, ::-1].tolist(),
            "patch": [
                {"old": str(old), "new": str(new)} for old, new in operation.pairs[:MOST].tolist()
            ],
            "undoes": list(operation.undoes[:MOST]),
            "undone_by": self._history.undone.get(operation.id),
        }

    def operation(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Return the operation ``id``."""
        return self.told(self._history.operations([asked["id"]])[0])

    def log(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``count`` operations, the latest first.

        They end before the operation ``before``, and are those of the user ``by``, since the time
        ``since``, and of the segment or supervoxel ``id``, where these are given.
        """
        last = self._state.position
        before, count = min(last + 1, asked.get("before", last + 1)), asked.get("count", 100)
        since = asked.get("since", 0)
        found: list[dict[str, Any]] = []
        for operation in self._latest(asked.get("id"), before):
            if operation.time < since or len(found) == count:
                break
            if asked.get("by") in (None, operation.who):
                found.append(self.told(operation))
        return {"last": last, "operations": found}

    def _latest(self, given: int | None, before: int) -> Iterator[Operation]:
        lineage = self._history.lineage
        if given is None:
            numbers: Sequence[int] = range(1, min(before, lineage.count + 1))
        else:
            some = np.array(self._state.standing_for(given), np.uint64)
            led = lineage.operations_of(self._state.numbers(some).tolist())
            numbers = [number for number in led if number < before]
        for start in range(len(numbers), 0, -MOST):
            part = self._history.operations(numbers[max(0, start - MOST) : start])
            yield from reversed(part)

    def of_user(self, asked: Mapping[str, Any]) -> list[int]:
        """Return the operations of the user ``by`` that stand, since the time ``since``."""
        by, since = asked["by"], asked.get("since", 0)
        found = []
        for operation in self._latest(None, self._state.position + 1):
            if operation.time < since:
                break
            stands = operation.id not in self._history.undone and not operation.undoes
            if operation.who == by and stands and operation.numbers:
                found.append(operation.id)
        if not found:
            raise Absent(f"There are no operations of {by} to take back since then.")
        return found

    def roots(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Return the name and the root id of the segment of each supervoxel of ``ids``.

        ``at`` is an operation: they are those after it.
        """
        ids = np.array(asked["ids"], np.uint64)
        state = self._channel.at(asked["at"]) if "at" in asked else self._state
        found = zip(ids, state.segments(ids), self._roots.of(state, ids), strict=True)
        rows = [
            {"supervoxel": str(one), "id": str(name), "root": str(root)}
            for one, name, root in found
        ]
        return {"operation": state.position, "roots": rows}

    def lineage(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Return the operations that led to the root id ``root``, and those that followed.

        Each has the root ids that it made and replaced. The latest `MOST` of them are told.
        """
        root: int = asked["root"]
        number, lineage = self._roots.number(root), self._history.lineage
        if number and not lineage.made_by(number):
            raise Absent(f"There is no root {root}.")
        led, later = lineage.operations_of([number]), lineage.later([number])
        if not number and (first := self._history.first_number(root)):
            later = sorted({lineage.made_by(first), *lineage.later([first])})
        later = [each for each in later if each <= self._state.position]
        return {
            "root": str(root),
            "is_latest": not later,
            "past": [self._link(each) for each in led[-MOST:]],
            "future": [self._link(each) for each in later[-MOST:]],
            "count": len(led) + len(later),
        }

    def _link(self, operation: int) -> dict[str, Any]:
        lineage = self._history.lineage
        made, replaced = lineage.made(operation), lineage.replaced(operation)
        return {
            "operation": operation,
            "made": [str(self._roots.of_number(each)) for each in made[:MOST]],
            "replaced": [str(self._roots.of_number(each)) for each in replaced[:MOST]],
        }
