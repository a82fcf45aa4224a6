"""Voxels of regions, at stored or computed mips: the entry point of this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bfly.cutouts.assemble import Assembler
from bfly.cutouts.buffer_pool import BufferPool
from bfly.cutouts.readers import ComputedMips, read_stored
from bfly.cutouts.tile_loader import TileLoader

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from bfly.concurrency.workers import Workers
    from bfly.cutouts.plan import Slices
    from bfly.storage.lru_cache import LruCache
    from bfly.volumes.region import Region

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["Cutouts"]

SCAN = 1 / 128
"""So bulk copies do not evict interactive tiles."""


class Cutouts:
    """Reads regions. A computed mip is a reader above the stored ones.

    Parameters
    ----------
    cache : LruCache
        Keeps the tiles.
    workers, background : Workers
        Share the tiles of one region, and those of a streamed region.
    limit : int
        Bytes of the largest part to assemble at once.
    scan : float
        Part of the cache. Cutouts above this size bypass it.

    Attributes
    ----------
    buffers : BufferPool
        Memory for large cutouts.
    """

    def __init__(
        self,
        cache: LruCache,
        workers: Workers,
        background: Workers,
        limit: int,
        scan: float = SCAN,
    ) -> None:
        self.buffers = BufferPool()
        shared = workers, background, self.buffers, int(cache.max_bytes * scan)
        self._stored = Assembler(TileLoader(cache, read_stored, self.gather), *shared)
        computed = ComputedMips(self._stored, limit)
        self._computed = Assembler(TileLoader(cache, computed.read, self.gather), *shared)

    def gather(self, region: Region) -> Voxels:
        """Return the voxels of a region (z, y, x); read-only where it is one whole tile.

        Raises
        ------
        TooLarge
            The stored voxels that a coarse mip is computed from exceed the limit.
        """
        return self._assembler(region).gather(region)

    def fill(self, region: Region, voxels: Voxels) -> None:
        """Write the voxels of a region to an array of its shape, bypassing the cache."""
        self._assembler(region).fill(region, voxels)

    def show(self, region: Region, look: Callable[[Voxels, Slices], None]) -> None:
        """Pass the voxels of a region to a callback, part by part; see `Assembler.show`."""
        self._assembler(region).show(region, look)

    def loader(self, region: Region) -> TileLoader:
        """Return the loader of a region's tiles."""
        return self._assembler(region).loader

    def _assembler(self, region: Region) -> Assembler:
        return self._stored if region.level.is_stored else self._computed
