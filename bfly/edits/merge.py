"""Joining segments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.edits.change import Change

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bfly.edits.operation import Operation
    from bfly.edits.state import EditState

__all__ = ["merged"]


def merged(state: EditState, ids: Sequence[int], who: str, **words: Any) -> Operation | None:
    """Return the operation that joins segments; None if they are one segment already.

    Parameters
    ----------
    state : EditState
        Latest state.
    ids : sequence of int
        Segments or supervoxels; the first one is the name of the joined segment.
    who : str
        The author.
    **words
        Further fields of the operation.
    """
    supervoxels = [one for each in ids for one in state.standing_for(each)]
    if len(np.unique(state.segments(np.array(supervoxels, np.uint64)))) == 1:
        return None
    change = Change()
    change.join(supervoxels, ids[0])
    return change.operation(state, "merge", who, **words)
