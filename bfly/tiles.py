"""Tiles: each is read once, kept in the cache, and put together with others."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

from bfly.blocks import Blocks
from bfly.edits.relabelled import Relabelled
from bfly.errors import NotAllowed, SourceChanged, SourceError
from bfly.geometry import BoundingBox, Zyx, copy_rows, indexes, zyx
from bfly.level import LARGEST_STEP
from bfly.metrics import TILES_READ
from bfly.planning import by_unit, check_size, tile_of, tiles_of
from bfly.workers import Flights, Workers

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from bfly.cache import Cache
    from bfly.edits.state import State
    from bfly.queries.data import DataQuery
    from bfly.queries.query import Query
    from bfly.queries.tile import TileQuery

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["Tiles"]

SCAN = 1 / 128
"""A cutout of more than this part of the cache is read past it: who copies a volume must not
push out what others look at, and memory that is used again needs no new pages."""

LISTED = 1 << 14
"""How many tiles are listed at once where all voxels of a volume, however large, are looked at."""


class Tiles:
    """Loads tiles for queries that know their source.

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
    blocks : Blocks
        Memory for large cutouts.
    """

    def __init__(self, cache: Cache, workers: Workers, background: Workers, limit: int) -> None:
        self._cache = cache
        self._workers = workers
        self._background = background
        self._limit = limit
        self.blocks = Blocks()
        self._reading: Flights[dict[Zyx, Voxels]] = Flights()

    def load(self, t_query: TileQuery) -> Voxels:
        """Give the wanted part of a tile, read-only, cut off at the volume's end."""
        try:
            state = _merges(t_query)
            tile = self._segments(t_query, state) if state else self._stored(t_query)
        except SourceChanged:
            raise
        except (SourceError, NotAllowed):
            # One chunk that is damaged or refused must not hide the others of its tile.
            return self._read_wanted(t_query)
        return tile[t_query.crop.slices]

    def load_all(self, d_query: DataQuery, may_go_on: Callable[[], bool]) -> bool:
        """Load the tiles of a request into the cache, one after the other.

        Parameters
        ----------
        d_query : DataQuery
            It knows its source.
        may_go_on : callable
            Asked before each tile.

        Returns
        -------
        bool
            Whether all are loaded.
        """
        for index in indexes(tiles_of(d_query)):
            if not may_go_on():
                return False
            self._stored(tile_of(d_query, index))
        return True

    def _stored(self, t_query: TileQuery) -> Voxels:
        """Give a tile from the cache, or read it."""
        tile: Voxels = self._cache.get(t_query.key)
        if not len(tile):
            unit = t_query.level.unit(t_query.index)
            key = t_query.volume.tile_key(t_query.mip, unit.start)
            tile = self._reading.run(key, lambda: self._read(t_query, unit))[t_query.index]
        return tile

    def _segments(self, t_query: TileQuery, state: State) -> Voxels:
        """Give a tile as the segments of a state, which are kept beside the tile as stored."""
        key = f"{t_query.key}/segments"
        known: Relabelled = self._cache.get(key)
        if not known or not known.is_of(state):
            known = Relabelled(self._stored(t_query), state)
            self._cache.set(key, known)
        return self._stored(t_query) if known.voxels is None else known.voxels

    def _read_wanted(self, t_query: TileQuery) -> Voxels:
        """Read just the wanted part of a tile, and do not keep it."""
        tile = t_query.level.tile_box(t_query.index)
        return _edited(t_query, self._read_box(t_query.data, t_query.crop.shift(tile.start) & tile))

    def _read(self, t_query: TileQuery, unit: BoundingBox) -> dict[Zyx, Voxels]:
        """Read the tiles of a unit and keep each of them in the cache."""
        volume, mip, level = t_query.volume, t_query.mip, t_query.level
        # Another thread may have read them between the look into the cache and this flight.
        known = {index: self._cache.get(volume.tile_key(mip, index)) for index in indexes(unit)}
        if all(len(tile) for tile in known.values()):
            return known
        whole = level.unit_box(unit)
        voxels = self._read_box(t_query.data, whole)
        tiles = {}
        for index in indexes(unit):
            box = level.tile_box(index)
            tile = _own(voxels[box.relative_to(whole.start).slices])
            self._cache.set(volume.tile_key(mip, index), tile)
            tiles[index] = tile
        return tiles

    def _read_box(self, d_query: DataQuery, box: BoundingBox) -> Voxels:
        """Read any box of the mip, counted from the channel's first voxel, or compute it."""
        volume, mip = d_query.volume, d_query.resolution
        level = volume.level(mip)
        if level.stored == mip:
            TILES_READ.inc()
            return volume.source.read(mip, box)

        def read_stored(box: BoundingBox) -> Voxels:
            place = box.shift(volume.level(level.stored).origin)
            part = d_query.part(level.stored, place)
            return self._gather(part, max(self._limit, LARGEST_STEP))

        kept = volume.kept(mip)
        voxels = kept.read(box) if kept else None
        if voxels is None:
            voxels = level.read(box, volume.kind, read_stored)
            if kept:
                kept.keep(box, voxels)
        return voxels

    def gather(self, d_query: DataQuery) -> Voxels:
        """Put the voxels of a request's box together; read-only where it is one whole tile.

        Raises
        ------
        TooLarge
            The request, or a part that a coarse mip would be computed from, takes more
            memory than is allowed; nothing was allocated.
        """
        voxels = self._at_once(d_query)
        return self._gather(d_query, self._limit) if voxels is None else voxels

    def _at_once(self, d_query: DataQuery) -> Voxels | None:
        """Read a box of several tiles past the cache, where the source does better so.

        None where that is not so, where most of the tiles are cached, or where edits or a mip
        have to be worked out tile by tile.
        """
        volume, mip = d_query.volume, d_query.resolution
        level, tiles = volume.level(mip), tiles_of(d_query)
        size = d_query.box.size * d_query.dtype.itemsize
        stored = level.stored == mip and volume.source.reads_at_once
        if not stored or tiles.size < 2 or size > self._limit or _merges(d_query):
            return None
        keys = (volume.tile_key(mip, index) for index in indexes(tiles))
        if sum(len(self._cache.get(key)) > 0 for key in keys) * 2 > tiles.size:
            return None
        TILES_READ.inc(tiles.size)
        return volume.source.read(mip, d_query.box.relative_to(level.origin))

    def _gather(self, d_query: DataQuery, limit: int) -> Voxels:
        check_size(d_query, limit)
        groups = by_unit(d_query.volume.level(d_query.resolution), tiles_of(d_query))
        if sum(map(len, groups)) == 1:
            tile = self.load(tile_of(d_query, groups[0][0]))
            if tile.shape == d_query.box.shape:
                return tile
        voxels = self.blocks.empty(d_query.box.shape, d_query.dtype)
        self._fill(d_query, groups, voxels)
        return voxels

    def check_size(self, d_query: DataQuery) -> None:
        """Raise `TooLarge` if a request takes more memory than is allowed."""
        check_size(d_query, self._limit)

    def fill(self, d_query: DataQuery, voxels: Voxels) -> None:
        """Put the voxels of a request's box into an array of its shape, past the cache.

        Parameters
        ----------
        d_query : DataQuery
            It knows its source.
        voxels : numpy.ndarray
            Whatever it holds is written over.
        """
        groups = by_unit(d_query.volume.level(d_query.resolution), tiles_of(d_query))
        self._fill(d_query, groups, voxels, streamed=True)

    def _fill(
        self,
        d_query: DataQuery,
        groups: list[list[Zyx]],
        voxels: Voxels,
        streamed: bool = False,
    ) -> None:
        if d_query.box not in d_query.volume.level(d_query.resolution).place:
            voxels[...] = 0

        def room(box: BoundingBox) -> Voxels:
            return voxels[box.relative_to(d_query.box.start).slices]

        self._show(d_query, groups, lambda part, box: copy_rows(part, room(box)), room, streamed)

    def show(self, d_query: DataQuery, look: Callable[[Voxels, BoundingBox], None]) -> None:
        """Show the voxels of a request of any size, part by part, without what lies outside.

        Parameters
        ----------
        d_query : DataQuery
            It knows its source.
        look : callable
            Called, from several threads at once, with voxels that it may not write to and
            with the box where they lie in the dataset.
        """
        level = d_query.volume.level(d_query.resolution)
        tiles = tiles_of(d_query)
        step = list(level.per_unit)
        for axis in (2, 1, 0):
            while step[axis] < tiles.shape[axis] and math.prod(step) < LISTED:
                step[axis] *= 2
        for index in indexes(tiles.in_tiles(zyx(step))):
            part = BoundingBox.of_shape((1, 1, 1), index).refined(zyx(step)) & tiles
            self._show(d_query, by_unit(level, part), look)

    def _show(
        self,
        d_query: DataQuery,
        groups: list[list[Zyx]],
        look: Callable[[Voxels, BoundingBox], None],
        room: Callable[[BoundingBox], Voxels] | None = None,
        streamed: bool = False,
    ) -> None:
        """Show the voxels of tiles; a unit not to be kept may be read right into its room."""
        size = d_query.box.size * d_query.dtype.itemsize
        scan = streamed or size > self._cache._max_memory * SCAN
        volume, mip = d_query.volume, d_query.resolution
        level = volume.level(mip)
        wanted = d_query.box.relative_to(level.origin)
        # Tiles of which nothing was merged are in the cache as they are wanted.
        stored = _merges(d_query) is None

        def look_at(group: list[Zyx]) -> None:
            if scan and self._shown_past_cache(d_query, group[0], look, room, streamed):
                return
            for index in group:
                place = wanted & level.tile_box(index)
                tile = self._cache.get(volume.tile_key(mip, index)) if stored else None
                if tile is not None and len(tile):
                    start = zyx(map(operator.mul, index, level.tile))
                    part = tile[place.relative_to(start).slices]
                else:
                    part = self.load(tile_of(d_query, index))
                look(part, place.shift(level.origin))

        (self._background if streamed else self._workers).each(look_at, groups)

    def _shown_past_cache(
        self,
        d_query: DataQuery,
        index: Zyx,
        look: Callable[[Voxels, BoundingBox], None],
        room: Callable[[BoundingBox], Voxels] | None,
        partly: bool,
    ) -> bool:
        """Show a unit without keeping it, if it is wanted whole (or may be partly), not cached."""
        volume, mip = d_query.volume, d_query.resolution
        level = volume.level(mip)
        unit = level.unit(index)
        whole = level.unit_box(unit).shift(level.origin)
        place = whole & d_query.box
        keys = (volume.tile_key(mip, i) for i in indexes(unit))
        if (place != whole and not partly) or any(len(self._cache.get(key)) for key in keys):
            return False
        box = place.relative_to(level.origin)
        if room and level.stored == mip and not _merges(d_query):
            TILES_READ.inc()
            volume.source.read_into(mip, box, room(place))
        else:
            look(_edited(d_query, self._read_box(d_query, box)), place)
        return True


def _merges(query: Query) -> State | None:
    """Give the state of the edits that are asked for, where it changes labels at all."""
    return query.state if query.state and query.state.count else None


def _edited(query: Query, voxels: Voxels) -> Voxels:
    """Give voxels that are not kept as the segments that are asked for."""
    state = _merges(query)
    edited = Relabelled(voxels, state).voxels if state else None
    return voxels if edited is None else edited


def _own(voxels: Voxels) -> Voxels:
    """Give read-only voxels that keep nothing else in memory."""
    owner = voxels.base
    if not voxels.flags.c_contiguous or getattr(owner, "nbytes", 0) > voxels.nbytes:
        voxels = voxels.copy()
    voxels.flags.writeable = False
    return voxels
