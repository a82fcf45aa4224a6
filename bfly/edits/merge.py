"""Joining segments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.edits.change import Change

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from bfly.edits.operation import Operation
    from bfly.edits.state import EditState

__all__ = ["merged", "merged_at"]


def merged(
    state: EditState, ids: Sequence[int], who: str, absent: Collection[int] = (), **words: Any
) -> Operation | None:
    """Return the operation that joins segments; None if they are one segment already.

    Parameters
    ----------
    state : EditState
        Latest state.
    ids : sequence of int
        Segments or supervoxels; the first one is the name of the joined segment.
    who : str
        The author.
    absent : collection of int
        Ids that no supervoxel has.
    **words
        Further fields of the operation.
    """
    supervoxels = [one for each in ids for one in state.standing_for(each, each not in absent)]
    return _joined(state, supervoxels, ids[0], who, **words)


def merged_at(
    state: EditState, supervoxels: Sequence[int], points: NDArray[np.int64], who: str, **words: Any
) -> Operation | None:
    """Return the operation that joins the segments at points; None if they are one already.

    A supervoxel means the segment that it is in, even if another segment has its id as name.

    Parameters
    ----------
    state : EditState
        Latest state.
    supervoxels : sequence of int
        Those at the points; the segment of the first one keeps its name.
    points : numpy.ndarray
        The points, shape (n, 3), zyx in voxels of mip 0.
    who : str
        The author.
    **words
        Further fields of the operation.
    """
    ids = np.array(supervoxels, np.uint64)
    # An unedited supervoxel looks like a segment of its name, and means both.
    meant = [
        one
        for each, is_edited in zip(supervoxels, state.knows(ids), strict=True)
        for one in ([each] if is_edited else state.standing_for(each))
    ]
    return _joined(state, meant, int(state.segments(ids[:1])[0]), who, points=points, **words)


def _joined(
    state: EditState, supervoxels: Sequence[int], name: int, who: str, **words: Any
) -> Operation | None:
    if len(np.unique(state.segments(np.array(supervoxels, np.uint64)))) == 1:
        return None
    change = Change()
    change.join(supervoxels, name)
    return change.operation(state, "merge", who, **words)
