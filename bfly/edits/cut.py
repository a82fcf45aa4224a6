"""Parting the supervoxels of a segment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.edits.change import Change
from bfly.edits.part_names import Names
from bfly.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bfly.edits.history import History
    from bfly.edits.operation import Operation
    from bfly.edits.state import EditState

    Ids = NDArray[np.uint64]

__all__ = ["cut"]


def cut(
    state: EditState, history: History, parts: Sequence[Ids], fresh: int, who: str, **words: Any
) -> Operation:
    """Return the operation that parts a segment.

    Parameters
    ----------
    state : EditState
        Latest state.
    history : History
        What the log says.
    parts : sequence of numpy.ndarray
        uint64, supervoxels of each part; supervoxels of the segment in none of them are a further
        part.
    fresh : int
        An id that nothing has, from which on further ones are free.
    who : str
        The author.
    **words
        Further fields of the operation.

    Raises
    ------
    BadRequest
        The supervoxels are not in one segment, one is in two parts, or there is only one part.
    """
    edges = history.segment(state, int(parts[0][0]))
    part = np.full(len(edges.members), -1)
    for number, supervoxels in enumerate(parts):
        places = np.searchsorted(edges.members, supervoxels)
        places[places == len(part)] = 0
        if not np.array_equal(edges.members[places], supervoxels):
            raise BadRequest(f"The supervoxels of part {number} are not all in the segment.")
        if (part[places] >= 0).any():
            raise BadRequest(f"A supervoxel of part {number} is in another part, too.")
        part[places] = number
    if len(np.unique(part)) < 2:
        raise BadRequest("There is only one part, the whole segment.")
    change = Change()
    change.part(state, edges, part, Names(max(fresh, state.patches.last + 1)))
    return change.operation(state, "cut", who, **words)
