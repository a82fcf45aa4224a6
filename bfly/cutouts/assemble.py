"""Assembly of regions from tiles; uncached reads go straight into the target array."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from bfly.cutouts.plan import parts_of, shares, tiles_of
from bfly.geometry import BoundingBox, copy_rows, indexes, zyx
from bfly.metrics import TILES_READ

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from bfly.concurrency.workers import Workers
    from bfly.cutouts.buffer_pool import BufferPool
    from bfly.cutouts.plan import Found, Slices
    from bfly.cutouts.tile_loader import TileLoader
    from bfly.geometry import Zyx
    from bfly.volumes.level import Level
    from bfly.volumes.region import Region

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["Assembler"]

LISTED = 1 << 10
"""Tiles that are listed at once where a volume of any size is read: bounds the memory of lists."""


SHARED = 4 << 20
"""Bytes of a region that several threads read: less is read before they have started."""


class Assembler:
    """Assembles regions from their tiles.

    Parameters
    ----------
    loader : TileLoader
        Loads the tiles.
    workers, background : Workers
        Share the tiles of one region, and those of a streamed region.
    buffers : BufferPool
        Memory for large cutouts.
    most_cached : int
        Bytes of the largest cutout whose tiles are kept in the cache. Larger ones bypass it, so
        that bulk copies do not evict interactive tiles, and reuse buffers instead of new
        pages.
    """

    def __init__(
        self,
        loader: TileLoader,
        workers: Workers,
        background: Workers,
        buffers: BufferPool,
        most_cached: int,
    ) -> None:
        self.loader = loader
        self._workers = workers
        self._background = background
        self._buffers = buffers
        self._most_cached = most_cached

    def gather(self, region: Region) -> Voxels:
        """Return the voxels of a region; read-only where it is one whole tile."""
        tiles = tiles_of(region)
        if tiles.size > 1 and _is_read_at_once(region):
            TILES_READ.inc(tiles.size)
            return self._read_at_once(region)
        parts = self._found(region, tiles)
        if len(parts) == 1:
            (index, wanted, _), cached = parts[0]
            tile = cached[wanted] if len(cached) else self.loader.load(region, index, wanted)
            if tile.shape == region.box.shape:
                return tile
        voxels = self._buffers.empty(region.box.shape, region.dtype)
        self._fill(region, parts, voxels)
        return voxels

    def _read_at_once(self, region: Region) -> Voxels:
        """Read a region past the cache, in several threads if the source has none of its own."""
        source, mip, local = region.volume.source, region.level.mip, region.local
        is_shared = source.in_one_thread and region.nbytes >= SHARED
        if not is_shared or local not in region.level.whole:
            return source.read(mip, local)
        voxels = self._buffers.empty(region.box.shape, region.dtype)

        def read(part: BoundingBox) -> None:
            source.read_into(mip, part, voxels[part.relative_to(local.start).slices])

        self._workers.each(read, _slabs(local, region.level.scale.chunk[0], self._workers.parallel))
        return voxels

    def fill(self, region: Region, voxels: Voxels) -> None:
        """Write the voxels of a region to an array of its shape, bypassing the cache.

        Parameters
        ----------
        region : Region
            What to read.
        voxels : numpy.ndarray
            The target; all of it is overwritten.
        """
        self._fill(region, self._found(region, tiles_of(region)), voxels, streamed=True)

    def show(self, region: Region, look: Callable[[Voxels, Slices], None]) -> None:
        """Pass the voxels of a region of any size to a callback, part by part, none from outside.

        Parameters
        ----------
        region : Region
            What to read.
        look : callable
            Called from several threads at once, with read-only voxels and their position in
            the region's box.
        """
        tiles = tiles_of(region)
        step = list(region.level.per_unit)
        for axis in (2, 1, 0):
            while step[axis] < tiles.shape[axis] and math.prod(step) < LISTED:
                step[axis] *= 2
        for index in indexes(tiles.in_tiles(zyx(step))):
            some = BoundingBox.of_shape((1, 1, 1), index).refined(zyx(step)) & tiles
            self._show(region, self._found(region, some), look)

    def _found(self, region: Region, tiles: BoundingBox) -> list[Found]:
        """List the parts of a region, each with its tile if that is cached with its edits."""
        parts = parts_of(region, tiles)
        cached = self.loader.cached(region, [index for index, _, _ in parts])
        return list(zip(parts, cached, strict=True))

    def _fill(
        self, region: Region, parts: list[Found], voxels: Voxels, streamed: bool = False
    ) -> None:
        if region.box not in region.level.place:
            voxels[...] = 0

        def put(part: Voxels, place: Slices) -> None:
            copy_rows(part, voxels, place)

        self._show(region, parts, put, voxels, streamed)

    def _show(
        self,
        region: Region,
        parts: list[Found],
        look: Callable[[Voxels, Slices], None],
        target: Voxels | None = None,
        streamed: bool = False,
    ) -> None:
        """Pass parts of a region to a callback; uncached reads may go straight into a target."""
        past_cache = streamed or region.nbytes > self._most_cached
        local, tiles = region.local, tiles_of(region)

        def look_at(share: list[Found]) -> None:
            box = _unit_of(region.level, share, local, tiles, streamed) if past_cache else None
            if box is not None:
                self._show_past_cache(region, box, box.relative_to(local.start), look, target)
                return
            held: dict[Zyx, Voxels] = {}
            for (index, wanted, place), tile in share:
                if len(tile):
                    look(tile[wanted], place)
                else:
                    look(self.loader.load(region, index, wanted, held), place)

        workers = self._background if streamed else self._workers
        workers.each(look_at, shares(region.level, parts))

    def _show_past_cache(
        self,
        region: Region,
        box: BoundingBox,
        place: BoundingBox,
        look: Callable[[Voxels, Slices], None],
        target: Voxels | None,
    ) -> None:
        """Read a box past the cache: straight into a target if possible, else for a callback."""
        if target is not None and region.level.is_stored and region.edits is None:
            TILES_READ.inc()
            region.volume.source.read_into(region.level.mip, box, target[place.slices])
        else:
            look(self.loader.read(region, box), place.slices)


def _unit_of(
    level: Level, share: list[Found], wanted: BoundingBox, tiles: BoundingBox, partly: bool
) -> BoundingBox | None:
    """Return the requested voxels of a unit that bypasses the cache; None if it does not.

    Parameters
    ----------
    level : Level
        The mip.
    share : list of (Part, array)
        Tiles of one unit.
    wanted : BoundingBox
        The region, counted from the channel's first voxel.
    tiles : BoundingBox
        All tiles of the region.
    partly : bool
        Whether a unit may be read even if only some of its voxels are requested.
    """
    (index, _, _), tile = share[0]
    unit = level.unit(index)
    if len(tile) or len(share) < (unit & tiles).size:
        # Some of the unit is cached, so the other tiles go through the cache too.
        return None
    whole = level.unit_box(unit)
    box = whole & wanted
    return box if partly or box == whole else None


def _slabs(box: BoundingBox, step: int, count: int) -> list[BoundingBox]:
    """Divide a box along z where a chunk ends, into at most twice as many parts as `count`."""
    first, last = box.start[0] // step, -(-box.stop[0] // step)
    share = step * max(1, -(-(last - first) // (2 * count)))
    starts = range(first * step, box.stop[0], share)
    rows, columns = box.shape[1:]
    slabs = (BoundingBox((z, *box.start[1:]), (z + share, *box.stop[1:])) & box for z in starts)
    return [slab for slab in slabs if rows and columns and slab.shape[0]]


def _is_read_at_once(region: Region) -> bool:
    """Return whether a region of several tiles is best read past the cache, at once.

    The source decides, unless edits or a mip have to be computed tile by tile.
    """
    if not region.level.is_stored or region.edits is not None:
        return False
    return region.volume.source.reads_at_once(region.level.mip, region.local)
