"""Where patches changed voxels: the cells of an index, and what tells one version from another."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.geometry import ceil_div, zyx
from bfly.segments.posting import CELL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from bfly.edits.patches import Patch, Patches
    from bfly.geometry import BoundingBox, Zyx
    from bfly.storage.lru_cache import LruCache

    Places = NDArray[np.int64]

__all__ = ["Touched", "version_of"]


class Touched:
    """The cells that patches touch. All places count from the channel's first voxel, at mip 0.

    Parameters
    ----------
    patches : Patches, optional
        The patches; none by default.
    shape : tuple of int
        Voxels of the channel (z, y, x). A file that was replaced may lack some of the patches'.
    known : LruCache, optional
        Keeps what was worked out for each patch.

    Attributes
    ----------
    cells : dict
        Each cell of `CELL` with a changed voxel → a text that tells its patches, with what they
        change, from all others.
    """

    def __init__(
        self,
        patches: Patches | None = None,
        shape: Zyx = (0, 0, 0),
        known: LruCache | None = None,
    ) -> None:
        all_patches = patches.all if patches else ()
        hulls = [_known_hulls(patch, known) for patch in all_patches]
        hulls = [each[(each[:, 0] < shape).all(axis=1)] for each in hulls]
        self._hulls: Places = np.concatenate([np.empty((0, 2, 3), np.int64), *hulls])
        self._owner = np.repeat(np.arange(len(hulls)), [len(each) for each in hulls])
        self._digests = [patch.digest for patch in all_patches]
        by_cell: defaultdict[Zyx, list[str]] = defaultdict(list)
        cells = (self._hulls[:, 0] // CELL).tolist()
        for cell, owner in zip(cells, self._owner.tolist(), strict=True):
            by_cell[zyx(cell)].append(self._digests[owner])
        self.cells = {cell: version_of(digests) for cell, digests in sorted(by_cell.items())}

    def version(self, box: BoundingBox) -> str:
        """Return a text that tells the patches that touch a box; "" if none does."""
        if not len(self._hulls):
            return ""
        low, high = self._hulls[:, 0], self._hulls[:, 1]
        touch = ((low < box.stop) & (high > box.start)).all(axis=1)
        return version_of(self._digests[owner] for owner in np.unique(self._owner[touch]).tolist())


def version_of(digests: Iterable[str]) -> str:
    """Return one text for several in their order; "" for none."""
    text = " ".join(digests)
    return hashlib.sha256(text.encode()).hexdigest()[:16] if text else ""


def _known_hulls(patch: Patch, known: LruCache | None) -> Places:
    hulls: Places | list[Any] = known.get(patch.digest) if known is not None else []
    if isinstance(hulls, list):
        hulls = _hulls(patch)
        if known is not None:
            known.set(patch.digest, hulls)
    return hulls


def _hulls(patch: Patch) -> Places:
    """Return the box around the changed voxels of each cell that a patch touches.

    Of shape (n, 2, 3): first voxel and end.
    """
    runs = patch.runs()
    first = np.stack(runs.rows(patch.box.shape), axis=1) + patch.box.start
    last = first[:, 2] + runs.length - 1
    # A run goes through several cells along x.
    count = last // CELL[2] - first[:, 2] // CELL[2] + 1
    rows = np.repeat(np.arange(len(first)), count)
    step = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
    begin = (first[rows, 2] // CELL[2] + step) * CELL[2]
    low, high = first[rows], first[rows] + 1
    low[:, 2] = np.maximum(low[:, 2], begin)
    high[:, 2] = np.minimum(last[rows] + 1, begin + CELL[2])
    grid = [ceil_div(stop, side) for stop, side in zip(patch.box.stop, CELL, strict=True)]
    cells = np.ravel_multi_index(tuple((low // CELL).T), grid)
    order = np.argsort(cells, kind="stable")
    starts = np.flatnonzero(np.diff(cells[order], prepend=-1))
    if not len(starts):
        return np.empty((0, 2, 3), np.int64)
    hulls = (np.minimum.reduceat(low[order], starts), np.maximum.reduceat(high[order], starts))
    return np.stack(hulls, axis=1)
