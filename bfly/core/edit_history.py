"""The history of a channel's edits, as JSON."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.errors import Absent, BadRequest
from bfly.validation import whole_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bfly.core.root_ids import RootIds
    from bfly.edits.channel import ChannelEdits
    from bfly.edits.operation import Operation

__all__ = ["EditHistory"]

MOST = 1000
"""Operations, ids or segments of an answer."""


class EditHistory:
    """What a channel's log says, with root ids. All ids are text.

    Parameters
    ----------
    channel : ChannelEdits
        The edits of the channel.
    roots : RootIds
        Its root ids.
    """

    def __init__(self, channel: ChannelEdits, roots: RootIds) -> None:
        self._channel, self._roots = channel, roots
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
        number = whole_number("id", asked.get("id"), 1)
        return self.told(self._history.operations([number])[0])

    def log(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``count`` operations, the latest first.

        They end before the operation ``before``, and are those of the user ``by``, since the time
        ``since``, and of the segment or supervoxel ``id``, where these are given.
        """
        last = self._channel.state.position
        before = whole_number("before", asked.get("before", last + 1), 1)
        count = whole_number("count", asked.get("count", 100), 1, MOST)
        since = _time(asked.get("since"))
        found: list[dict[str, Any]] = []
        for operation in self._latest(asked.get("id"), before):
            if operation.time < since or len(found) == count:
                break
            if asked.get("by") in (None, operation.who):
                found.append(self.told(operation))
        return {"last": last, "operations": found}

    def _latest(self, given: Any, before: int) -> Iterator[Operation]:
        lineage = self._history.lineage
        if given is None:
            numbers: Sequence[int] = range(1, min(before, lineage.count + 1))
        else:
            ids = np.array([whole_number("id", given, 1, 2**64 - 1)], np.uint64)
            some = np.array(self._channel.state.standing_for(int(ids[0])), np.uint64)
            led = lineage.operations_of(self._channel.state.numbers(some).tolist())
            numbers = [number for number in led if number < before]
        for start in range(len(numbers), 0, -MOST):
            part = self._history.operations(numbers[max(0, start - MOST) : start])
            yield from reversed(part)

    def of_user(self, asked: Mapping[str, Any]) -> list[int]:
        """Return the operations of the user ``by`` that stand, since the time ``since``."""
        by, since = asked["by"], _time(asked.get("since"))
        found = []
        for operation in self._latest(None, self._channel.state.position + 1):
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
        given = str(asked.get("ids", "")).split(",")
        if len(given) > MOST:
            raise BadRequest(f"There are {len(given)} ids; allowed are 1 to {MOST}.")
        ids = np.array([whole_number("ids", each, 0, 2**64 - 1) for each in given], np.uint64)
        state = self._channel.state
        if asked.get("at") is not None:
            state = self._channel.at(whole_number("at", asked["at"], 0))
        found = zip(given, state.segments(ids), self._roots.of(state, ids), strict=True)
        rows = [
            {"supervoxel": one, "id": str(name), "root": str(root)} for one, name, root in found
        ]
        return {"operation": state.position, "roots": rows}

    def lineage(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Return the operations that led to the root id ``root``, and those that followed.

        Each has the root ids that it made and replaced. The latest `MOST` of them are told.
        """
        root = whole_number("root", asked.get("root"), 1, 2**64 - 1)
        number, lineage = self._roots.number(root), self._history.lineage
        if number and not lineage.made_by(number):
            raise Absent(f"There is no root {root}.")
        led, later = lineage.operations_of([number]), lineage.later([number])
        if not number and (first := self._history.first_number(root)):
            later = sorted({lineage.made_by(first), *lineage.later([first])})
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


def _time(value: Any) -> float:
    """Return a time in seconds since 1970, from these, or from the text of ISO 8601."""
    if value is None:
        return 0
    try:
        return float(value)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise BadRequest(f"since {value} is not a time such as 2026-11-28T12:00:00Z.") from None
    return moment.timestamp()
