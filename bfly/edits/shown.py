"""The labels of some voxels and their segments, as of a state and others that are alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.edits.state import EditState

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

    Attributes
    ----------
    segments : numpy.ndarray
        uint64: the segment of each label.
    """

    def __init__(self, supervoxels: Ids, state: EditState) -> None:
        self._set(supervoxels, state.segments(supervoxels), state)

    def _set(self, supervoxels: Ids, segments: Ids, state: EditState) -> None:
        self.supervoxels, self.segments = supervoxels, segments
        self._names = np.sort(segments)
        self._position = state.position

    def is_still_of(self, state: EditState) -> bool:
        """Check whether the segments are those of another state of the channel.

        It takes microseconds, so it may be False for a state that is alike; `of` finds out.
        """
        if self._position == state.position:
            return True
        touched = state.touched_since(self._position)
        if touched is None or _among(touched, self._names).any():
            return False
        self._position = state.position
        return True

    def _doubtful(self, state: EditState) -> NDArray[np.int64]:
        """Return the places of labels whose segment may be another one in a state."""
        touched = state.touched_since(self._position)
        if touched is None:
            return np.arange(len(self.segments))
        touched = np.sort(touched[_among(touched, self._names)])
        return np.flatnonzero(_among(self.segments, touched))

    def of(self, state: EditState) -> tuple[Shown, NDArray[np.int64]]:
        """Return the labels as of another state, and the places of those that differ.

        It is the same object if there are none.
        """
        places = self._doubtful(state)
        found = state.segments(self.supervoxels[places])
        changed = found != self.segments[places]
        if not changed.any():
            self._position = state.position
            return self, places[:0]
        segments = self.segments.copy()
        segments[places] = found
        other = Shown.__new__(Shown)
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
