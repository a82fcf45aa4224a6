"""Tiles of supervoxels with patches, relabelled with their segments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fastremap
import numpy as np

from bfly.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bfly.edits.patches import Patch
    from bfly.edits.state import EditState
    from bfly.geometry import BoundingBox

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["Relabelled"]


class Relabelled:
    """Voxels relabelled with the segments of a state, and the mapping that was applied.

    Parameters
    ----------
    stored : numpy.ndarray
        Supervoxels of the files; not written to.
    state : EditState
        State whose segments they get.
    box : BoundingBox
        The voxels of mip 0 that they cover, counted from the channel's first one.
    patch : callable
        Takes patches, and returns the supervoxels with these; perhaps the stored ones themselves.

    Attributes
    ----------
    voxels : numpy.ndarray or None
        Segments, read-only; None where they equal the supervoxels.

    Raises
    ------
    SourceError
        A segment's name is larger than the dtype can hold.
    """

    def __init__(
        self,
        stored: Voxels,
        state: EditState,
        box: BoundingBox,
        patch: Callable[[Sequence[Patch]], Voxels],
    ) -> None:
        self._box, self._patches = box, state.patches
        self._touching = state.patches.touching(box)
        voxels = patch(self._touching) if self._touching else stored
        flat = voxels.ravel()
        # Labels come in runs along x: one voxel of each run is enough.
        begins = np.ones(flat.size, bool)
        np.not_equal(flat[1:], flat[:-1], out=begins[1:])
        starts = np.flatnonzero(begins)
        labels, inverse = fastremap.unique(flat[starts], return_inverse=True)
        self._position = state.position
        self._supervoxels = labels.astype(np.uint64)
        self._segments = state.segments(self._supervoxels)
        self.voxels: Voxels | None = None if voxels is stored else voxels
        # A negative label counts as its 64 bits, which only an edit can replace.
        renamed = self._segments[self._segments != self._supervoxels]
        if not renamed.size:
            if self.voxels is not None:
                self.voxels.flags.writeable = False
            return
        if renamed.max() > np.iinfo(voxels.dtype).max:
            raise SourceError(
                f"The segment {renamed.max()} is larger than {voxels.dtype.name} can hold."
            )
        lengths = np.diff(starts, append=flat.size)
        segments = self._segments.astype(voxels.dtype)[inverse]
        self.voxels = np.repeat(segments, lengths).reshape(voxels.shape)
        self.voxels.flags.writeable = False

    def is_of(self, state: EditState) -> bool:
        """Check whether another state of the channel gives the same voxels, as most edits do."""
        if self._position != state.position:
            if self._patches is not state.patches:
                if state.patches.touching(self._box) != self._touching:
                    return False
                self._patches = state.patches
            if not np.array_equal(state.segments(self._supervoxels), self._segments):
                return False
            self._position = state.position
        return True

    @property
    def nbytes(self) -> int:
        """Bytes of the voxels and the mapping."""
        kept = (self._supervoxels, self._segments, self.voxels)
        return sum(array.nbytes for array in kept if array is not None)
