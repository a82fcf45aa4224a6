"""What the log of a channel says about a split."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bfly.splitting.bonds import Bonds

if TYPE_CHECKING:
    from bfly.edits.history import History
    from bfly.edits.state import EditState

__all__ = ["bonds_of"]

PAIR = 2
"""Supervoxels of a merge that says where it joins."""


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
    operations = history.operations(numbers.tolist())
    is_table = np.array([each.kind == "import" for each in operations], bool)[which]
    is_cut = np.array([each.kind == "cut" for each in operations], bool)[which]
    several = np.array([each.sizes.max(initial=0) > PAIR for each in operations], bool)[which]
    # What holds the pieces of a list together after a split is as good as the list.
    is_list = is_table | (is_cut & np.isin(edges.ends, edges.ends[is_table]).any(axis=1))
    held = edges.members, edges.ends, edges.made_by
    return Bonds(*held, is_list, (is_cut | several) & ~is_list)
