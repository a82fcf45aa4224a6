"""A merge table as operations: which segment each supervoxel is in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fastremap
import numpy as np

from bfly.edits.operation import Operation
from bfly.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from bfly.edits.state import EditState

    Ids = NDArray[np.uint64]

__all__ = ["added", "checked", "operations_of"]

ROWS = 1 << 16
"""Rows of one operation."""


def checked(supervoxels: Ids, segments: Ids, state: EditState) -> tuple[Ids, Ids]:
    """Give a table sorted by segment, each row once, that can be joined to a state.

    A segment that the state has by the same name is the same segment, whose supervoxels need not
    be in the table.

    Parameters
    ----------
    supervoxels, segments : numpy.ndarray
        The rows (uint64).
    state : EditState
        What the table is added to.

    Raises
    ------
    BadRequest
        The background is in a segment, a supervoxel is in two, or supervoxels that are one
        segment already are in two.
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
    known = state.knows(supervoxels)
    message = "Supervoxels of the segment {}, which are merged already, are in two segments"
    _check_one(state.segments(supervoxels[known]), segments[known], message)
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
    """Give what makes the operations that add a table to a state; see `checked`.

    There are none if the state has all of it.
    """

    def operations(state: EditState) -> list[Operation]:
        rows, names = checked(supervoxels, segments, state)
        was = state.segments(rows)
        if (state.knows(rows) & (was == names)).all():
            return []
        return list(operations_of(rows, names, was, state.position + 1, who))

    return operations


def operations_of(
    supervoxels: Ids,
    segments: Ids,
    was: Ids,
    first: int,
    who: str = "",
    splits: tuple[str, ...] = (),
) -> Iterator[Operation]:
    """Give a table as operations of bounded size.

    Parameters
    ----------
    supervoxels, segments, was : numpy.ndarray
        The rows, sorted by segment, and perhaps the segments before; none are as many as that.
    first : int
        The number of the first operation.
    who : str
        Of the operations.
    splits : tuple of str
        Splits, which the first operation has.
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
