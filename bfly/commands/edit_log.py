"""``bfly edits log``: the operations of a channel, one per line."""

from __future__ import annotations

import time
from itertools import islice, takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bfly.edits.channel_lines import Found
    from bfly.edits.operation import Operation

__all__ = ["log_lines"]

SHOWN = 8
"""Lists of an operation, and ids of a list, that are printed at most."""

AT_ONCE = 1000
"""Operations that are read at once, from the latest on."""


def log_lines(found: Found, by: str | None, since: float, limit: int | None) -> Iterator[str]:
    """Yield the operations of a channel, the latest last.

    Parameters
    ----------
    found : Found
        The channel, a branch, or a past state, which has those up to it.
    by : str, optional
        Only those of this user.
    since : float
        Only those since then, in seconds since 1970.
    limit : int, optional
        Only so many, the latest.

    Yields
    ------
    str
        Number, time, user, kind, the operation that the user saw, and what was done; with tabs
        between them.
    """
    if limit is None:
        until = takewhile(lambda each: each.id <= found.state.position, found.edits.operations())
        wanted = _wanted(until, by, since)
        yield from map(_line, wanted)
        return
    latest = islice(_wanted(_backwards(found), by, since), limit)
    yield from reversed([_line(operation) for operation in latest])


def _wanted(operations: Iterator[Operation], by: str | None, since: float) -> Iterator[Operation]:
    for operation in operations:
        if operation.time >= since and by in (None, operation.who):
            yield operation


def _backwards(found: Found) -> Iterator[Operation]:
    for stop in range(found.state.position, 0, -AT_ONCE):
        numbers = range(max(1, stop - AT_ONCE + 1), stop + 1)
        yield from reversed(found.edits.history.operations(numbers))


def _line(operation: Operation) -> str:
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(operation.time))
    who = operation.who or "-"
    told = [*operation.splits, *islice(_told(operation), SHOWN + 1)]
    if len(told) > SHOWN:
        told[SHOWN:] = ["…"]
    head = f"{operation.id}\t{when}\t{who}\t{operation.kind}\ton {operation.base}"
    return f"{head}\t{'; '.join(told)}"


def _told(operation: Operation) -> Iterator[str]:
    """Yield what an operation took back, painted, parted and joined."""
    if operation.undoes:
        yield f"of {_some(operation.undoes)}"
    for old, new in operation.pairs.tolist():
        yield f"{new} for voxels of {old}"
    was = operation.was.tolist()
    start = len(operation.supervoxels)
    for name, whole in zip(operation.part_names.tolist(), was[start:], strict=False):
        yield f"{name} out of {whole}"
    start = 0
    lists = zip(operation.sizes.tolist(), operation.names.tolist(), strict=True)
    for size, name in lists:
        yield f"{name} from {_some(dict.fromkeys(was[start : start + size]))}"
        start += size


def _some(ids: dict[int, None] | tuple[int, ...]) -> str:
    return f"{' '.join(map(str, [*ids][:SHOWN]))}{' …' * (len(ids) > SHOWN)}"
