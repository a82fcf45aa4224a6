"""The labels of some voxels and their segments, as of a state and others that are alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.edits.patches import Patch
    from bfly.edits.state import EditState
    from bfly.geometry import BoundingBox

    Ids = NDArray[np.uint64]

__all__ = ["Shown"]


class Shown:
    """Labels and their segments.

    Parameters
    ----------
    supervoxels : numpy.ndarray
        uint64: the labels, each once.
    state : EditState
        State whose segments they are in.
    box : BoundingBox
        The voxels of mip 0 that have them, counted from the channel's first one.
    patches : list of Patch
        Those of the state that touch the box: the labels are those of the voxels with them.

    Attributes
    ----------
    segments : numpy.ndarray
        uint64: the segment of each label.
    patches : list of Patch
        As above.
    """

    def __init__(
        self, supervoxels: Ids, state: EditState, box: BoundingBox, patches: list[Patch]
    ) -> None:
        self._box, self.patches = box, patches
        self._set(supervoxels, state.segments(supervoxels), state)

    def _set(self, supervoxels: Ids, segments: Ids, state: EditState) -> None:
        self.supervoxels, self.segments = supervoxels, segments
        self._names = np.sort(segments)
        self._note(state)

    def _note(self, state: EditState) -> None:
        """Note that the segments and the patches are those of a state."""
        self._all_patches = state.patches
        # Both at once, since other threads ask meanwhile.
        self._state = state.line, state.position

    def has_patches_of(self, state: EditState) -> bool:
        """Check whether the same patches touch the box in another state."""
        if state.patches is self._all_patches:
            return True
        return state.patches.touching(self._box) == self.patches

    def _touched(self, state: EditState) -> Ids | None:
        """Return the names of segments that may be others in a state; None if any may."""
        line, position = self._state
        return state.touched_since(position) if line == state.line else None

    def is_still_of(self, state: EditState) -> bool:
        """Check whether the voxels are those of another state of the channel.

        It takes microseconds, so it may be False for a state that is alike; `of` finds out.
        """
        if self._state == (state.line, state.position):
            return True
        touched = self._touched(state)
        if touched is None or _among(touched, self._names).any():
            return False
        if not self.has_patches_of(state):
            return False
        self._note(state)
        return True

    def _doubtful(self, state: EditState) -> NDArray[np.int64]:
        """Return the places of labels whose segment may be another one in a state."""
        touched = self._touched(state)
        if touched is None:
            return np.arange(len(self.segments))
        touched = np.sort(touched[_among(touched, self._names)])
        return np.flatnonzero(_among(self.segments, touched))

    def of(self, state: EditState) -> tuple[Shown, NDArray[np.int64]]:
        """Return the labels as of another state, and the places of those that differ.

        It is the same object if there are none. The state has to have the same patches in the box;
        see `has_patches_of`.
        """
        places = self._doubtful(state)
        found = state.segments(self.supervoxels[places])
        changed = found != self.segments[places]
        if not changed.any():
            self._note(state)
            return self, places[:0]
        segments = self.segments.copy()
        segments[places] = found
        other = Shown.__new__(Shown)
        other._box, other.patches = self._box, self.patches
        other._set(self.supervoxels, segments, state)
        return other, places[changed]

    @property
    def nbytes(self) -> int:
        """Bytes of the labels and their segments."""
        return self.supervoxels.nbytes + self.segments.nbytes + self._names.nbytes


def _among(ids: Ids, others: Ids) -> NDArray[np.bool_]:
    """Return a mask of the ids that are in a sorted array."""
    if not len(others):
        return np.zeros(len(ids), bool)
    found: NDArray[np.bool_] = others.take(np.searchsorted(others, ids), mode="clip") == ids
    return found
