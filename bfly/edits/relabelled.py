"""Tiles as the segments that edits make of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fastremap
import numpy as np

from bfly.errors import SourceError

if TYPE_CHECKING:
    from bfly.edits.state import EditState

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["Relabelled"]


class Relabelled:
    """Voxels as the segments of a state, and what that took, to tell of which other states too.

    Parameters
    ----------
    voxels : numpy.ndarray
        Supervoxels; not written to.
    state : EditState
        What became of them.

    Attributes
    ----------
    voxels : numpy.ndarray or None
        The segments, read-only; None where they are the supervoxels.

    Raises
    ------
    SourceError
        A name of a segment is larger than the voxels can hold.
    """

    def __init__(self, voxels: Voxels, state: EditState) -> None:
        flat = voxels.ravel()
        # Labels come in runs along x, of which one voxel each is enough.
        begins = np.ones(flat.size, bool)
        np.not_equal(flat[1:], flat[:-1], out=begins[1:])
        starts = np.flatnonzero(begins)
        found, inverse = fastremap.unique(flat[starts], return_inverse=True)
        self._position = state.position
        self._supervoxels = found.astype(np.uint64)
        self._segments = state.segments(self._supervoxels)
        self.voxels: Voxels | None = None
        if np.array_equal(self._segments, self._supervoxels):
            return
        if self._segments.max() > np.iinfo(voxels.dtype).max:
            raise SourceError(
                f"The segment {self._segments.max()} is larger than {voxels.dtype.name} can hold."
            )
        lengths = np.diff(starts, append=flat.size)
        segments = self._segments.astype(voxels.dtype)[inverse]
        self.voxels = np.repeat(segments, lengths).reshape(voxels.shape)
        self.voxels.flags.writeable = False

    def is_of(self, state: EditState) -> bool:
        """Tell whether it is that of a state of the same channel, too: most edits are elsewhere."""
        if self._position != state.position:
            if not np.array_equal(state.segments(self._supervoxels), self._segments):
                return False
            self._position = state.position
        return True

    @property
    def nbytes(self) -> int:
        """The memory it takes."""
        kept = (self._supervoxels, self._segments, self.voxels)
        return sum(array.nbytes for array in kept if array is not None)
