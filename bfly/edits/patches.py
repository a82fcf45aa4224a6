"""Patches: voxels that have other supervoxels than the files say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.edits.patch_runs import Runs, unpacked_runs
from bfly.errors import SourceError
from bfly.geometry import BoundingBox, zyx

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from bfly.edits.operation import Operation
    from bfly.geometry import Zyx

    Ids = NDArray[np.uint64]
    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["Patch", "Patches", "applied"]


@dataclass(frozen=True, eq=False, slots=True)
class Patch:
    """Voxels that an operation gave other supervoxels.

    Attributes
    ----------
    number : int
        The operation.
    box : BoundingBox
        Voxels of mip 0, counted from the channel's first one.
    old, new : numpy.ndarray
        uint64: what some voxels had, and what these got instead; 0 is the background. A new id is
        that of no other patch, and of no voxel of the files.
    packed : numpy.ndarray
        uint8; see `runs`.
    """

    number: int
    box: BoundingBox
    old: Ids
    new: Ids
    packed: NDArray[np.uint8]

    @classmethod
    def of(cls, operation: Operation) -> Patch:
        """Return the patch of an operation that has one."""
        low, high = operation.box.reshape(2, 3)
        old, new = operation.pairs.T
        return cls(operation.id, BoundingBox(zyx(low), zyx(high)), old, new, operation.runs)

    @property
    def nbytes(self) -> int:
        """Bytes in memory, about."""
        return 500 + self.old.nbytes + self.new.nbytes + self.packed.nbytes

    def runs(self) -> Runs:
        """Return its runs within its box; `pair` is a place in `old` and `new`."""
        return unpacked_runs(self.packed)

    def write(self, voxels: Voxels, box: BoundingBox) -> None:
        """Write the patch into supervoxels of a box; see `Patches.apply`.

        Raises
        ------
        SourceError
            A file was replaced by one whose voxels cannot hold a new supervoxel.
        """
        flat = voxels.reshape(-1)
        places, pair = self.runs().inside(self.box, box).voxels()
        # A file that was replaced since may have other labels here.
        kept = flat[places].astype(np.uint64) == self.old[pair]
        new = self.new[pair[kept]]
        if new.max(initial=0) > np.iinfo(voxels.dtype).max:
            raise SourceError(
                f"The supervoxel {new.max()} of the patch {self.number} is larger than "
                f"{voxels.dtype.name} can hold."
            )
        flat[places[kept]] = new.astype(voxels.dtype)

    def meets(self, other: Patch) -> bool:
        """Return whether both change a voxel."""
        both = self.box & other.box
        if not both.size:
            return False
        one, two = (each.runs().inside(each.box, both) for each in (self, other))
        ends = np.append(0, one.first + one.length)
        return bool((ends[np.searchsorted(one.first, two.first + two.length)] > two.first).any())

    def at(self, places: NDArray[np.int64], labels: Ids) -> Ids:
        """Return the supervoxels at voxels with the patch; see `Patches.at`."""
        local = places - np.array(self.box.start)
        inside = np.flatnonzero(((local >= 0) & (local < self.box.shape)).all(axis=1))
        if not len(inside):
            return labels
        runs = self.runs()
        numbers = np.ravel_multi_index(tuple(local[inside].T), self.box.shape)
        run = np.searchsorted(runs.first, numbers, side="right") - 1
        hit = (run >= 0) & (numbers < (runs.first + runs.length)[run])
        pair = runs.pair[run]
        hit &= labels[inside] == self.old[pair]
        patched = labels.copy()
        patched[inside[hit]] = self.new[pair[hit]]
        return patched


class Patches:
    """The patches that count in a state, in their order. They never change.

    Boxes and places count from the channel's first voxel, at mip 0.

    Parameters
    ----------
    patches : sequence of Patch
        The patches.
    others : sequence of Patch
        Those that were taken back.

    Attributes
    ----------
    all : tuple of Patch
        The patches.
    old, new : numpy.ndarray
        uint64: `Patch.old` and `Patch.new` of all of them, one after the other.
    gone : numpy.ndarray
        uint64: ids that those made that were taken back. No voxel has them.
    last : int
        The largest id that any patch made, also one that was taken back; 0 if there is none.
    """

    def __init__(self, patches: Sequence[Patch] = (), others: Sequence[Patch] = ()) -> None:
        self.all = tuple(patches)
        self._corners = _corners(patches)
        self._owner = _owners(patches, 0)
        self.old = _joined([patch.old for patch in patches])
        self.new = _joined([patch.new for patch in patches])
        gone = _joined([patch.new for patch in others])
        self.gone = gone[gone > 0]
        self.last = int(max(self.new.max(initial=0), self.gone.max(initial=0)))

    def plus(self, patches: Sequence[Patch]) -> Patches:
        """Return these patches and later ones."""
        more = Patches()
        more.all = (*self.all, *patches)
        more._corners = np.concatenate([self._corners, _corners(patches)])
        more._owner = np.append(self._owner, _owners(patches, len(self.all)))
        more.old = _joined([self.old, *(patch.old for patch in patches)])
        more.new = _joined([self.new, *(patch.new for patch in patches)])
        more.gone, more.last = self.gone, max(self.last, int(more.new.max(initial=0)))
        return more

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self.all)

    def touching(self, box: BoundingBox) -> list[Patch]:
        """Return the patches whose boxes have voxels in a box."""
        if not self.all:
            return []
        low, high = self._corners[:, 0], self._corners[:, 1]
        touch = ((low < box.stop) & (high > box.start)).all(axis=1)
        return [self.all[place] for place in np.flatnonzero(touch).tolist()]

    def apply(self, voxels: Voxels, origin: Zyx) -> Voxels:
        """Return the supervoxels that voxels of the files have now.

        Parameters
        ----------
        voxels : numpy.ndarray
            Supervoxels of shape (z, y, x), of mip 0, C-contiguous; not written to.
        origin : tuple of int
            Place of the first one.

        Returns
        -------
        numpy.ndarray
            The same array if no patch touches its box.

        Raises
        ------
        SourceError
            As `Patch.write`.
        """
        box = BoundingBox.of_shape(zyx(voxels.shape), origin)
        return applied(self.touching(box), voxels, box)

    def at(self, places: NDArray[np.int64], labels: Ids) -> Ids:
        """Return the supervoxels that single voxels have now.

        Parameters
        ----------
        places : numpy.ndarray
            int64 of shape (n, 3): z, y, x.
        labels : numpy.ndarray
            uint64: what the files have there; not written to.
        """
        if self.all and len(places):
            hull = BoundingBox(zyx(places.min(axis=0)), zyx(places.max(axis=0) + 1))
            for patch in self.touching(hull):
                labels = patch.at(places, labels)
        return labels

    def naming(self, ids: Ids) -> list[Patch]:
        """Return the patches that took voxels from supervoxels, or made them."""
        hit = np.isin(self.old, ids) | np.isin(self.new, ids)
        return [self.all[place] for place in np.unique(self._owner[hit]).tolist()]

    def became(self, supervoxels: Ids) -> Ids:
        """Return supervoxels, and all that got voxels of theirs; sorted, without the background."""
        return _reached(supervoxels, self.old, self.new)

    def origins(self, supervoxels: Ids) -> Ids:
        """Return supervoxels, and all whose voxels they got; sorted, without the background.

        Those of them that no patch made (`made`) are in the files.
        """
        return _reached(supervoxels, self.new, self.old)

    def made(self, supervoxels: Ids) -> NDArray[np.bool_]:
        """Return a mask of the supervoxels that patches made."""
        return np.isin(supervoxels, self.new) & (supervoxels > 0)


def applied(patches: Iterable[Patch], voxels: Voxels, box: BoundingBox) -> Voxels:
    """Return the voxels of a box with patches; see `Patches.apply`."""
    patched = voxels
    for patch in patches:
        if (box & patch.box).size:
            patched = voxels.copy() if patched is voxels else patched
            patch.write(patched, box)
    return patched


def _corners(patches: Sequence[Patch]) -> NDArray[np.int64]:
    corners = [(patch.box.start, patch.box.stop) for patch in patches]
    return np.array(corners, np.int64).reshape(-1, 2, 3)


def _owners(patches: Sequence[Patch], first: int) -> NDArray[np.int64]:
    """Return for each old and new id the place of its patch, counted from a first one."""
    return np.repeat(np.arange(len(patches)), [len(patch.old) for patch in patches]) + first


def _joined(ids: Sequence[Ids]) -> Ids:
    return np.concatenate([np.empty(0, np.uint64), *ids])


def _reached(ids: Ids, start: Ids, end: Ids) -> Ids:
    """Return ids and all that lead on from them, without 0, which leads nowhere."""
    found = np.unique(ids[ids > 0])
    while True:
        more = end[np.isin(start, found)]
        all_of_them = np.union1d(found, more[more > 0])
        if len(all_of_them) == len(found):
            return found
        found = all_of_them
