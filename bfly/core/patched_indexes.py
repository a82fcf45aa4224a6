"""Label indexes after patches: the patched cells are counted again, each once."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import numpy as np

from bfly.concurrency.admission import check_wanted
from bfly.concurrency.workers import SingleFlight
from bfly.geometry import BoundingBox
from bfly.segments.patched_index import PatchedIndex
from bfly.segments.posting import CELL
from bfly.segments.recount import Recount
from bfly.segments.touched import Touched
from bfly.storage.disk_cache import DiskCache
from bfly.storage.lru_cache import LruCache
from bfly.volumes.region import Region

if TYPE_CHECKING:
    from bfly.cutouts.cutouts import Cutouts
    from bfly.edits.patches import Patches
    from bfly.edits.state import EditState
    from bfly.geometry import Zyx
    from bfly.segments.index import Index
    from bfly.segments.postings import Postings
    from bfly.volumes.volume import Volume

__all__ = ["PatchedIndexes"]

NAME = "recounts"
"""Folder of the recounts within the store of computed mips."""

VERSION = 1
"""Version of the recounts: a change makes all of them anew."""

IN_MEMORY = 32 << 20
"""Bytes of recounts in memory: those of some 10,000 cells."""

HULLS = 8 << 20
"""Bytes of the places of patches in memory: 48 for each cell of each patch."""

LATEST = 4
"""Patched indexes in memory: those of the latest states, and of past ones that are looked at."""


class PatchedIndexes:
    """Counts patched cells, and keeps what is found for all states with the same patches in them.

    Parameters
    ----------
    cutouts : Cutouts
        Reads voxels.
    folder : str
        The store of computed mips. The recounts are in its folder `NAME`.
    size : int
        Bytes of all recounts. The least recently used ones are removed first; with 0, none is kept
        on disk.
    """

    def __init__(self, cutouts: Cutouts, folder: str, size: int) -> None:
        self._cutouts = cutouts
        self._kept = DiskCache(os.path.join(folder, NAME), size) if folder and size else None
        self._known, self._hulls = LruCache(IN_MEMORY), LruCache(HULLS)
        self._latest: dict[str, PatchedIndex] = {}
        self._keeping = threading.Lock()
        self._making: SingleFlight[PatchedIndex] = SingleFlight()

    def of(self, index: Index, volume: Volume, state: EditState | None) -> Postings:
        """Return the index of a channel after the patches of a state.

        Parameters
        ----------
        index : Index
            That of the stored labels.
        volume : Volume
            The channel.
        state : EditState, optional
            The state.

        Raises
        ------
        SourceError
            The voxels of a patched cell cannot be read.
        """
        if state is None or not state.patches:
            return index
        patches = state.patches
        key = f"{index.folder} {patches.digest}"
        latest = self._latest.get(key)
        if latest is None or latest.stored is not index:
            latest = self._making.run(key, lambda: self._made(index, volume, patches))
        with self._keeping:
            self._latest.pop(key, None)
            self._latest[key] = latest
            if len(self._latest) > LATEST:
                del self._latest[next(iter(self._latest))]
        return latest

    def _made(self, index: Index, volume: Volume, patches: Patches) -> PatchedIndex:
        shape = volume.level(0).whole.shape
        touched = Touched(patches, shape, self._hulls)
        recounts = []
        for cell, version in touched.cells.items():
            check_wanted()
            recounts.append(self._recount(volume, patches, cell, version))
        return PatchedIndex(index, touched, recounts, shape)

    def _recount(self, volume: Volume, patches: Patches, cell: Zyx, version: str) -> Recount:
        key = f"{VERSION} {volume.spec.key} {volume.state} {cell} {version}"
        known: Recount = self._known.get(key)
        if not known:
            kept = self._kept.get(key) if self._kept else None
            known = Recount.unpacked(kept) if kept else self._counted(volume, patches, cell)
            if self._kept and not kept:
                self._kept.set(key, known.packed)
            self._known.set(key, known)
        return known

    def _counted(self, volume: Volume, patches: Patches, cell: Zyx) -> Recount:
        """Count the labels of a cell before and after patches."""
        level = volume.level(0)
        box = BoundingBox.of_shape((1, 1, 1), cell).refined(CELL) & level.whole
        region = Region.of(volume, 0, box.shift(level.origin))
        # Past the cache, whose tiles are those of viewers.
        stored = np.empty(box.shape, region.dtype)
        self._cutouts.fill(region, stored)
        return Recount.of(stored, patches.apply(stored, box.start), box.start)
