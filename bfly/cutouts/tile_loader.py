"""Tiles, one by one: from the cache, or read once for all who want them and then kept there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bfly.concurrency.workers import SingleFlight
from bfly.cutouts.plan import tile_of, tiles_of
from bfly.edits.relabelled import Relabelled
from bfly.errors import NotAllowed, SourceChanged, SourceError
from bfly.geometry import BoundingBox, Zyx, indexes
from bfly.metrics import TILES_READ

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np

    from bfly.edits.state import EditState
    from bfly.queries.data import DataQuery
    from bfly.queries.query import Query
    from bfly.queries.tile import TileQuery
    from bfly.storage.cache import Cache

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["TileLoader", "applied_edits"]

SEGMENTS = "/segments"
"""What follows the key of a tile in that of its voxels as segments."""


class TileLoader:
    """Loads tiles for queries that know their source.

    Parameters
    ----------
    cache : Cache
        Keeps the tiles.
    finer : callable
        Gives the voxels of a request at a stored mip, from which a coarser one is computed.
    """

    def __init__(self, cache: Cache, finer: Callable[[DataQuery], Voxels]) -> None:
        self._cache = cache
        self._finer = finer
        self._reading: SingleFlight[dict[Zyx, Voxels]] = SingleFlight()

    def load(self, t_query: TileQuery, held: dict[Zyx, Voxels] | None = None) -> Voxels:
        """Return the wanted part of a tile, read-only, cut off at the volume's end.

        Parameters
        ----------
        t_query : TileQuery
            It knows its source.
        held : dict, optional
            Takes the stored tiles that were read together with this one, by their positions, and
            has those of earlier calls: a unit larger than the cache is read once for all of them.
        """
        held = {} if held is None else held
        try:
            state = applied_edits(t_query)
            tile = self._segments(t_query, state, held) if state else self._stored(t_query, held)
        except SourceChanged:
            raise
        except (SourceError, NotAllowed):
            # One chunk that is damaged or refused must not hide the others of its tile.
            whole = t_query.level.tile_box(t_query.index)
            return self.read(t_query.data, t_query.crop.shift(whole.start) & whole)
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
            self._stored(tile_of(d_query, index), {})
        return True

    def cached(self, d_query: DataQuery, tiles: Iterable[Zyx]) -> list[Any]:
        """Give tiles (arrays) as a request wants them, in the order of their positions.

        Those that are not cached as they are wanted are empty lists.
        """
        keys = d_query.volume.tile_keys(d_query.resolution, tiles)
        stored: list[Any] = self._cache.get_many(keys)
        state = applied_edits(d_query)
        if state is None:
            return stored
        known: list[Relabelled] = self._cache.get_many([key + SEGMENTS for key in keys])
        return [
            (tile if each.voxels is None else each.voxels) if each and each.is_of(state) else []
            for each, tile in zip(known, stored, strict=True)
        ]

    def read(self, d_query: DataQuery, box: BoundingBox) -> Voxels:
        """Read voxels as a request wants them, past the cache.

        Parameters
        ----------
        d_query : DataQuery
            Says the channel, the mip and the edits.
        box : BoundingBox
            Any box of the mip, counted from the channel's first voxel.
        """
        voxels, state = self._read_box(d_query, box), applied_edits(d_query)
        edited = Relabelled(voxels, state).voxels if state else None
        return voxels if edited is None else edited

    def _stored(self, t_query: TileQuery, held: dict[Zyx, Voxels]) -> Voxels:
        """Return a tile from those that are held or cached, or read its unit."""
        if t_query.index in held:
            return held[t_query.index]
        tile: Voxels = self._cache.get(t_query.key)
        if not len(tile):
            unit = t_query.level.unit(t_query.index)
            key = t_query.volume.tile_key(t_query.mip, unit.start)
            held |= self._reading.run(key, lambda: self._read_unit(t_query, unit))
            tile = held[t_query.index]
        return tile

    def _segments(self, t_query: TileQuery, state: EditState, held: dict[Zyx, Voxels]) -> Voxels:
        """Give a tile as the segments of a state, which are kept beside the tile as stored."""
        key = t_query.key + SEGMENTS
        known: Relabelled = self._cache.get(key)
        if not known or not known.is_of(state):
            known = Relabelled(self._stored(t_query, held), state)
            self._cache.set(key, known)
        return self._stored(t_query, held) if known.voxels is None else known.voxels

    def _read_unit(self, t_query: TileQuery, unit: BoundingBox) -> dict[Zyx, Voxels]:
        """Read the tiles of a unit and keep each of them in the cache."""
        level, all_of_it = t_query.level, list(indexes(unit))
        keys = t_query.volume.tile_keys(t_query.mip, all_of_it)
        # Another thread may have read them between the look into the cache and this flight.
        known = dict(zip(all_of_it, self._cache.get_many(keys), strict=True))
        if all(len(tile) for tile in known.values()):
            return known
        whole = level.unit_box(unit)
        # A computed mip takes room for the stored chunks that it is from, in other threads too.
        size = whole.size * t_query.dtype.itemsize if level.stored == level.mip else 0
        with t_query.volume.room.taking(size):
            voxels = self._read_box(t_query.data, whole)
            for key, index in zip(keys, all_of_it, strict=True):
                known[index] = _own(voxels[level.tile_box(index).relative_to(whole.start).slices])
                self._cache.set(key, known[index])
        return known

    def _read_box(self, d_query: DataQuery, box: BoundingBox) -> Voxels:
        """Read any box of the mip, counted from the channel's first voxel, or compute it."""
        volume, mip = d_query.volume, d_query.resolution
        level = volume.level(mip)
        if level.stored == mip:
            TILES_READ.inc()
            return volume.source.read(mip, box)

        def read_stored(box: BoundingBox) -> Voxels:
            place = box.shift(volume.level(level.stored).origin)
            return self._finer(d_query.part(level.stored, place))

        kept = volume.kept(mip)
        voxels = kept.read(box) if kept else None
        if voxels is None:
            voxels = level.read(box, volume.kind, read_stored)
            if kept:
                kept.keep(box, voxels)
        return voxels


def applied_edits(query: Query) -> EditState | None:
    """Give the state of the edits that are asked for, where it changes labels at all."""
    return query.state if query.state and query.state.count else None


def _own(voxels: Voxels) -> Voxels:
    """Give read-only voxels that keep nothing else in memory."""
    owner = voxels.base
    if not voxels.flags.c_contiguous or getattr(owner, "nbytes", 0) > voxels.nbytes:
        voxels = voxels.copy()
    voxels.flags.writeable = False
    return voxels
