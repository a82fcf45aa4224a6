"""Cutouts: tiles are put together, or what is not to be kept is read to where it is wanted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from bfly.cutouts.buffer_pool import BufferPool
from bfly.cutouts.plan import check_size, parts_of, shares, tile_of, tiles_of
from bfly.cutouts.tile_loader import TileLoader, applied_edits
from bfly.geometry import BoundingBox, copy_rows, indexes, zyx
from bfly.metrics import TILES_READ
from bfly.volumes.level import LARGEST_STEP

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from bfly.concurrency.workers import Workers
    from bfly.cutouts.plan import Found, Slices
    from bfly.geometry import Zyx
    from bfly.queries.data import DataQuery
    from bfly.storage.cache import Cache

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["Assembler"]

SCAN = 1 / 128
"""A cutout of more than this part of the cache is read past it: who copies a volume must not
push out what others look at, and memory that is used again needs no new pages."""

LISTED = 1 << 10
"""How many tiles are listed at once where all voxels of a volume, however large, are looked at."""


class Assembler:
    """Gives the voxels of queries that know their source.

    Parameters
    ----------
    cache : Cache
        Keeps the tiles.
    workers, background : Workers
        Share the tiles of one request; those of one that is streamed.
    limit : int
        The most bytes to put together at once.

    Attributes
    ----------
    loader : TileLoader
        Loads single tiles.
    blocks : BufferPool
        Memory for large cutouts.
    """

    def __init__(self, cache: Cache, workers: Workers, background: Workers, limit: int) -> None:
        self._cache = cache
        self._workers = workers
        self._background = background
        self._limit = limit
        self.loader = TileLoader(cache, lambda part: self._gather(part, max(limit, LARGEST_STEP)))
        self.blocks = BufferPool()

    def check_size(self, d_query: DataQuery) -> None:
        """Raise `TooLarge` if a request takes more memory than is allowed."""
        check_size(d_query, self._limit)

    def gather(self, d_query: DataQuery) -> Voxels:
        """Put the voxels of a request's box together; read-only where it is one whole tile.

        Raises
        ------
        TooLarge
            The request, or a part that a coarse mip would be computed from, takes more
            memory than is allowed; nothing was allocated.
        """
        return self._gather(d_query, self._limit)

    def _gather(self, d_query: DataQuery, limit: int) -> Voxels:
        check_size(d_query, limit)
        tiles = tiles_of(d_query)
        box = d_query.box.relative_to(d_query.off_zyx)
        if tiles.size > 1 and self._is_direct(d_query, box):
            TILES_READ.inc(tiles.size)
            return d_query.volume.source.read(d_query.resolution, box)
        parts = self._found(d_query, tiles)
        if len(parts) == 1:
            (position, _, _), _ = parts[0]
            tile = self.loader.load(tile_of(d_query, position))
            if tile.shape == d_query.box.shape:
                return tile
        voxels = self.blocks.empty(d_query.box.shape, d_query.dtype)
        self._fill(d_query, parts, voxels)
        return voxels

    def _found(self, d_query: DataQuery, tiles: BoundingBox) -> list[Found]:
        """List the parts of a request, each with its tile if that is cached as it is wanted."""
        parts = parts_of(d_query, tiles)
        cached = self.loader.cached(d_query, [position for position, _, _ in parts])
        return list(zip(parts, cached, strict=True))

    def _is_direct(self, d_query: DataQuery, box: BoundingBox) -> bool:
        """Tell whether a box of several tiles is best read past the cache, in one go.

        That is so where the source says so, unless edits or a mip have to be worked out tile by
        tile. The box counts from the channel's first voxel.
        """
        volume, mip = d_query.volume, d_query.resolution
        if volume.level(mip).stored != mip or applied_edits(d_query):
            return False
        return volume.source.reads_at_once(mip, box)

    def fill(self, d_query: DataQuery, voxels: Voxels) -> None:
        """Put the voxels of a request's box into an array of its shape, past the cache.

        Parameters
        ----------
        d_query : DataQuery
            It knows its source.
        voxels : numpy.ndarray
            Whatever it holds is written over.
        """
        self._fill(d_query, self._found(d_query, tiles_of(d_query)), voxels, streamed=True)

    def _fill(
        self, d_query: DataQuery, parts: list[Found], voxels: Voxels, streamed: bool = False
    ) -> None:
        if d_query.box not in d_query.volume.level(d_query.resolution).place:
            voxels[...] = 0

        def put(part: Voxels, place: Slices) -> None:
            copy_rows(part, voxels, place)

        self._show(d_query, parts, put, voxels, streamed)

    def show(self, d_query: DataQuery, look: Callable[[Voxels, Slices], None]) -> None:
        """Show the voxels of a request of any size, part by part, without what lies outside.

        Parameters
        ----------
        d_query : DataQuery
            It knows its source.
        look : callable
            Called, from several threads at once, with voxels that it may not write to and
            with their place in the request's box.
        """
        tiles = tiles_of(d_query)
        step = list(d_query.volume.level(d_query.resolution).per_unit)
        for axis in (2, 1, 0):
            while step[axis] < tiles.shape[axis] and math.prod(step) < LISTED:
                step[axis] *= 2
        for index in indexes(tiles.in_tiles(zyx(step))):
            some = BoundingBox.of_shape((1, 1, 1), index).refined(zyx(step)) & tiles
            self._show(d_query, self._found(d_query, some), look)

    def _show(
        self,
        d_query: DataQuery,
        parts: list[Found],
        look: Callable[[Voxels, Slices], None],
        target: Voxels | None = None,
        streamed: bool = False,
    ) -> None:
        """Show parts of a request; what is not to be kept may be read right into a target."""
        size = d_query.box.size * d_query.dtype.itemsize
        scan = streamed or size > self._cache._max_memory * SCAN

        def look_at(share: list[Found]) -> None:
            if scan and self._shown_past_cache(d_query, share, look, target, streamed):
                return
            held: dict[Zyx, Voxels] = {}
            for (position, wanted, place), tile in share:
                if len(tile):
                    look(tile[wanted], place)
                else:
                    look(self.loader.load(tile_of(d_query, position), held), place)

        level = d_query.volume.level(d_query.resolution)
        (self._background if streamed else self._workers).each(look_at, shares(level, parts))

    def _shown_past_cache(
        self,
        d_query: DataQuery,
        share: list[Found],
        look: Callable[[Voxels, Slices], None],
        target: Voxels | None,
        partly: bool,
    ) -> bool:
        """Show a unit without keeping it, if it is wanted whole (or may be partly), not cached."""
        volume, mip = d_query.volume, d_query.resolution
        level, ((position, _, _), tile) = volume.level(mip), share[0]
        unit = level.unit(position)
        whole = level.unit_box(unit)
        box = whole & d_query.box.relative_to(level.origin)
        some_cached = len(tile) or len(share) < (unit & tiles_of(d_query)).size
        if some_cached or (box != whole and not partly):
            return False
        place = box.shift(level.origin).relative_to(d_query.box.start).slices
        if target is not None and level.stored == mip and not applied_edits(d_query):
            TILES_READ.inc()
            volume.source.read_into(mip, box, target[place])
        else:
            look(self.loader.read(d_query, box), place)
        return True
