"""Operations from a merge table, which lists the segment of each supervoxel."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import fastremap
import numpy as np

from bfly.edits.lineage import replaced
from bfly.edits.operation import Operation
from bfly.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from bfly.edits.state import EditState

    Ids = NDArray[np.uint64]

__all__ = ["added", "checked", "operations_of"]

ROWS = 1 << 16
"""Rows of one operation, at most."""


def checked(supervoxels: Ids, segments: Ids, state: EditState) -> tuple[Ids, Ids]:
    """Return a table that can be joined to a state: sorted by segment, each row once.

    A segment with the same name in the state is the same segment. Its supervoxels need not be
    in the table.

    Parameters
    ----------
    supervoxels, segments : numpy.ndarray
        Rows (uint64).
    state : EditState
        State that the table is added to.

    Raises
    ------
    BadRequest
        The background is in a segment, a supervoxel is in two segments, or the supervoxels of
        one segment of the state are in two.
    """
    if (moved := segments[supervoxels == 0]).any():
        raise BadRequest(f"The supervoxel 0, which is the background, is in segment {moved.max()}.")
    order = np.lexsort((supervoxels, segments))
    supervoxels, segments = supervoxels[order], segments[order]
    again = (supervoxels[1:] == supervoxels[:-1]) & (segments[1:] == segments[:-1])
    kept = np.append(True, ~again)[: len(supervoxels)] & (supervoxels > 0)
    supervoxels, segments = supervoxels[kept], segments[kept]
    _check_one(supervoxels, segments, "The supervoxel {} is in two segments")
    more, names = state.named(fastremap.unique(segments))
    supervoxels = np.concatenate([supervoxels, more])
    segments = np.concatenate([segments, names])
    edited = state.knows(supervoxels)
    message = "Supervoxels of the segment {}, which are merged already, are in two segments"
    _check_one(state.segments(supervoxels[edited]), segments[edited], message)
    order = np.lexsort((supervoxels, segments))
    return supervoxels[order], segments[order]


def _check_one(ids: Ids, segments: Ids, message: str) -> None:
    """Raise an error if an id is in two segments."""
    order = np.lexsort((segments, ids))
    ids, segments = ids[order], segments[order]
    two = np.flatnonzero((ids[1:] == ids[:-1]) & (segments[1:] != segments[:-1]))
    if len(two):
        first, second = segments[two[0] : two[0] + 2]
        raise BadRequest(f"{message.format(ids[two[0]])}: {first} and {second}.")


def added(supervoxels: Ids, segments: Ids, who: str) -> Callable[[EditState], list[Operation]]:
    """Return a function from a state to the operations that add a table to it; see `checked`.

    There are no operations if the state has all rows already.
    """

    def operations(state: EditState) -> list[Operation]:
        rows, names = checked(supervoxels, segments, state)
        was = state.segments(rows)
        if (state.knows(rows) & (was == names)).all():
            return []
        parts = operations_of(rows, names, was, state.position + 1, who)
        return list(_following(parts, state))

    return operations


def _following(operations: Iterable[Operation], state: EditState) -> Iterator[Operation]:
    """Yield the operations of a table with the numbers of the segments that each changes."""
    last, rest = state.last_number, np.empty(0, np.uint64)
    for operation in operations:
        numbers = state.numbers(operation.supervoxels)
        owners = np.repeat(np.arange(len(operation.sizes)), operation.sizes)
        # The rest of a segment belongs to what the operation before made.
        if len(rest) and operation.names[0] == rest[0]:
            numbers, owners = np.append(numbers, np.uint64(last)), np.append(owners, 0)
        before, into = replaced(numbers, owners)
        last, rest = last + operation.numbers, operation.names[-1:]
        yield replace(operation, before=before, into=into, knows_before=True)


def operations_of(
    supervoxels: Ids,
    segments: Ids,
    was: Ids,
    first: int,
    who: str = "",
    splits: tuple[str, ...] = (),
) -> Iterator[Operation]:
    """Yield a table as operations of bounded size.

    Parameters
    ----------
    supervoxels, segments, was : numpy.ndarray
        Rows sorted by segment, and the segment of each before; `was` may be empty.
    first : int
        Number of the first operation.
    who : str
        Author of the operations.
    splits : tuple of str
        Splits of the first operation.
    """
    starts = np.flatnonzero(np.append(True, segments[1:] != segments[:-1])[: len(segments)])
    for number, start in enumerate(range(0, max(len(supervoxels), 1), ROWS)):
        rows = np.arange(start, min(start + ROWS, len(supervoxels)))
        # The rest of a segment is joined to it by its first supervoxel.
        begin = starts[np.searchsorted(starts, start, side="right") - 1] if len(rows) else start
        if begin < start:
            rows = np.append(begin, rows)
        names = segments[rows]
        heads = np.flatnonzero(np.append(True, names[1:] != names[:-1])[: len(names)])
        yield Operation(
            first + number,
            "import",
            who,
            first - 1,
            supervoxels=supervoxels[rows],
            sizes=np.diff(heads, append=len(rows)).astype(np.uint32),
            names=names[heads],
            was=was[rows] if len(was) else was,
            splits=splits if number == 0 else (),
        )
