"""Tiles of supervoxels with patches, relabelled with their segments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fastremap
import numpy as np

from bfly.edits.shown import Shown
from bfly.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

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
    shown : Shown
        The labels and their segments.

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
        self._box, patches = box, state.patches.touching(box)
        voxels = patch(patches) if patches else stored
        flat = voxels.ravel()
        # Labels come in runs along x: one voxel of each run is enough.
        begins = np.ones(flat.size, bool)
        np.not_equal(flat[1:], flat[:-1], out=begins[1:])
        starts = np.flatnonzero(begins)
        labels, inverse = fastremap.unique(flat[starts], return_inverse=True)
        self.shown = Shown(labels.astype(np.uint64), state, box, patches)
        self.voxels: Voxels | None = None
        if voxels is not stored:
            self._set(voxels)
        # A tile is relabelled again run by run, so the runs are kept, as small as they can be.
        self._starts = starts.astype(np.uint32)
        self._labels = inverse.astype(np.min_scalar_type(len(labels)))
        if (renamed := self._renamed(np.arange(len(labels)), voxels.dtype)).size:
            segments = labels.copy()
            segments[renamed] = self.shown.segments[renamed].astype(voxels.dtype)
            lengths = np.diff(starts, append=flat.size)
            self._set(np.repeat(segments[inverse], lengths).reshape(voxels.shape))

    def _renamed(self, labels: NDArray[np.int64], dtype: np.dtype[Any]) -> NDArray[np.int64]:
        """Return those of some labels, by number, whose segment has another name."""
        segments = self.shown.segments[labels]
        # A negative label counts as its 64 bits, which only an edit can replace.
        is_renamed = segments != self.shown.supervoxels[labels]
        largest = segments[is_renamed].max(initial=0)
        if largest > np.iinfo(dtype).max:
            raise SourceError(f"The segment {largest} is larger than {dtype.name} can hold.")
        renamed: NDArray[np.int64] = labels[is_renamed]
        return renamed

    def _set(self, voxels: Voxels) -> None:
        voxels.flags.writeable = False
        self.voxels = voxels

    def of(
        self, state: EditState, stored: Voxels, patch: Callable[[Sequence[Patch]], Voxels]
    ) -> Relabelled:
        """Return the tile for another state: this one, or one with some runs written anew.

        Parameters
        ----------
        state : EditState
            The state.
        stored, patch
            As for the class. If other patches touch the tile, it is made anew.

        Raises
        ------
        SourceError
            As the constructor.
        """
        if not self.shown.has_patches_of(state):
            return Relabelled(stored, state, self._box, patch)
        shown, changed = self.shown.of(state)
        if shown is self.shown:
            return self
        other = Relabelled.__new__(Relabelled)
        other.shown, other.voxels, other._box = shown, None, self._box
        other._starts, other._labels = self._starts, self._labels
        renamed = other._renamed(np.arange(len(shown.segments)), stored.dtype)
        if not renamed.size and not shown.patches:
            return other
        voxels = (stored if self.voxels is None else self.voxels).copy()
        is_changed = np.zeros(len(shown.segments), bool)
        is_changed[changed] = True
        runs = np.flatnonzero(is_changed[self._labels])
        starts = self._starts[runs].astype(np.int64)
        lengths = np.append(self._starts, np.uint32(voxels.size))[runs + 1] - starts
        places = np.arange(lengths.sum()) + np.repeat(
            starts - np.cumsum(lengths) + lengths, lengths
        )
        segments = shown.segments.astype(stored.dtype)[self._labels[runs]]
        voxels.reshape(-1)[places] = np.repeat(segments, lengths)
        other._set(voxels)
        return other

    @property
    def nbytes(self) -> int:
        """Bytes of the voxels, the runs and the mapping."""
        kept = (self._starts, self._labels, self.voxels)
        return self.shown.nbytes + sum(array.nbytes for array in kept if array is not None)
