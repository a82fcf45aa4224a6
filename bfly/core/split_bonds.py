"""What the log of a channel says about a split."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bfly.splitting.bonds import Bonds

if TYPE_CHECKING:
    from bfly.edits.history import History
    from bfly.edits.state import EditState

__all__ = ["bonds_of"]

LISTS = ("import", "cut")
"""Operations whose edges only say that supervoxels belong together, not where they do."""


def bonds_of(history: History, state: EditState, supervoxel: int) -> Bonds:
    """Return what the log says about the segment of a supervoxel.

    Parameters
    ----------
    history : History
        The log.
    state : EditState
        The state whose segment it is.
    supervoxel : int
        A supervoxel of an edited segment, or an unedited one.

    Raises
    ------
    DatabaseError
        The log cannot be read.
    """
    edges = history.segment(state, supervoxel)
    numbers, which = np.unique(edges.made_by, return_inverse=True)
    is_list = [each.kind in LISTS for each in history.operations(numbers.tolist())]
    return Bonds(*edges, np.array(is_list, bool)[which])
