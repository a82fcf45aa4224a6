"""Single tiles: from the cache, or read once for all requests that wait (single flight)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bfly.concurrency.workers import SingleFlight
from bfly.cutouts.patched import finest, patched
from bfly.cutouts.plan import tiles_of
from bfly.edits.relabelled import Relabelled
from bfly.errors import NotAllowed, SourceChanged, SourceError
from bfly.geometry import BoundingBox, Zyx, indexes, zyx

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy as np

    from bfly.cutouts.plan import Slices
    from bfly.edits.patches import Patch
    from bfly.edits.shown import Shown
    from bfly.edits.state import EditState
    from bfly.storage.lru_cache import LruCache
    from bfly.volumes.region import Region

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["TileLoader"]

SEGMENTS = "/segments"
"""Suffix of a tile's key for its voxels as segments."""

PATCHED = "/patched"
"""Suffix of a tile's key for its supervoxels with patches."""

FEW = 64
"""Tiles whose labels are compared with each edit, at most: microseconds for each."""


class TileLoader:
    """Loads tiles of regions.

    Parameters
    ----------
    cache : LruCache
        Keeps the tiles.
    read : callable
        Reads past the cache, without edits. Takes a region for the channel and the mip, and a
        box inside the volume, counted from the channel's first voxel.
    gather : callable
        Returns the voxels of a region of mip 0.
    """

    def __init__(
        self,
        cache: LruCache,
        read: Callable[[Region, BoundingBox], Voxels],
        gather: Callable[[Region], Voxels],
    ) -> None:
        self._cache = cache
        self._read = read
        self._gather = gather
        self._reading: SingleFlight[dict[Zyx, Voxels]] = SingleFlight()

    def load(
        self,
        region: Region,
        index: Zyx,
        wanted: Slices,
        held: dict[Zyx, Voxels] | None = None,
    ) -> Voxels:
        """Return a part of a tile, read-only and clipped to the volume.

        Parameters
        ----------
        region : Region
            The channel, the mip and the edits; its box is not used.
        index : tuple of int
            Position of the tile (z, y, x), in tiles.
        wanted : tuple of slice
            The voxels, from the tile's first.
        held : dict, optional
            Stored tiles by position: those of earlier calls, to which the tiles read together
            with this one are added. So a unit larger than the cache is read only once.
        """
        held = {} if held is None else held
        try:
            if region.edits is None:
                tile = self._stored(region, index, held)
            else:
                tile = self._segments(region, region.edits, index, held)
        except SourceChanged:
            raise
        except (SourceError, NotAllowed):
            # A damaged or refused chunk must not hide the other chunks of its tile.
            whole = region.level.tile_box(index)
            crop = BoundingBox(
                zyx(along.start for along in wanted), zyx(along.stop for along in wanted)
            )
            return self.read(region, crop.shift(whole.start) & whole)
        return tile[wanted]

    def load_all(self, region: Region, may_go_on: Callable[[], bool]) -> bool:
        """Load the tiles of a region into the cache, one after the other.

        Parameters
        ----------
        region : Region
            The region.
        may_go_on : callable
            Called before each tile; False stops.

        Returns
        -------
        bool
            Whether all are loaded.
        """
        for index in indexes(tiles_of(region)):
            if not may_go_on():
                return False
            self._stored(region, index, {})
        return True

    def cached(self, region: Region, tiles: Iterable[Zyx]) -> list[Any]:
        """Return tiles (arrays) with the region's edits, in the order of their positions.

        A tile that is not cached with these edits is an empty list.
        """
        tiles = list(tiles)
        keys = region.volume.tile_keys(region.level.mip, tiles)
        stored: list[Any] = self._cache.get_many(keys)
        state = region.edits
        if state is None:
            return stored
        suffix = _suffix(state)
        edited: list[Relabelled] = self._cache.get_many([key + suffix for key in keys])
        return [
            (tile if new.voxels is None else new.voxels)
            if new and new.shown.is_still_of(state)
            else []
            for new, tile in zip(edited, stored, strict=True)
        ]

    def shown(self, region: Region) -> tuple[Shown, ...]:
        """Return what the tiles of a region show, from which a later state may be told apart.

        Empty if the region has no edits, has many tiles, or if one is not cached with these edits.
        """
        tiles, state = tiles_of(region), region.edits
        if state is None or tiles.size > FEW:
            return ()
        keys = region.volume.tile_keys(region.level.mip, indexes(tiles))
        suffix = _suffix(state)
        found: list[Relabelled] = self._cache.get_many([key + suffix for key in keys])
        shown = tuple(each.shown for each in found if each and each.shown.is_still_of(state))
        return shown if len(shown) == len(found) else ()

    def read(self, region: Region, box: BoundingBox) -> Voxels:
        """Read voxels with the region's edits, past the cache.

        Parameters
        ----------
        region : Region
            The channel, the mip and the edits.
        box : BoundingBox
            Any box of the mip inside the volume, counted from the channel's first voxel.
        """
        voxels = self._read(region, box)
        if region.edits is None:
            return voxels
        edited = self._relabelled(region, region.edits, voxels, box).voxels
        return voxels if edited is None else edited

    def _relabelled(
        self,
        region: Region,
        state: EditState,
        voxels: Voxels,
        box: BoundingBox,
        before: Relabelled | None = None,
    ) -> Relabelled:
        """Return the voxels of a box of the region's mip, with edits; `before` is an older one."""

        def patch(patches: Sequence[Patch]) -> Voxels:
            return patched(region, voxels, box, patches, self._gather)

        if before:
            return before.of(state, voxels, patch)
        return Relabelled(voxels, state, finest(region, box), patch)

    def _stored(self, region: Region, index: Zyx, held: dict[Zyx, Voxels]) -> Voxels:
        """Return a tile without edits: held, cached, or read together with its unit."""
        if index in held:
            return held[index]
        unit = region.level.unit(index)
        positions = list(indexes(unit))
        keys = region.volume.tile_keys(region.level.mip, positions)

        def work() -> dict[Zyx, Voxels]:
            return self._unit(region, unit, positions, keys)

        held |= self._reading.run(keys[0], work)
        return held[index]

    def _segments(
        self, region: Region, state: EditState, index: Zyx, held: dict[Zyx, Voxels]
    ) -> Voxels:
        """Return a tile as the segments of a state; they are cached beside the stored tile."""
        key = region.volume.tile_key(region.level.mip, index) + _suffix(state)
        edited: Relabelled = self._cache.get(key)
        if not edited or not edited.shown.is_still_of(state):
            stored = self._stored(region, index, held)
            edited = self._relabelled(
                region, state, stored, region.level.tile_box(index), edited or None
            )
            self._cache.set(key, edited)
        return self._stored(region, index, held) if edited.voxels is None else edited.voxels

    def _unit(
        self, region: Region, unit: BoundingBox, positions: list[Zyx], keys: list[str]
    ) -> dict[Zyx, Voxels]:
        """Return the tiles of a unit from the cache, or read and cache all of them."""
        cached = self._cache.get_many(keys)
        if all(map(len, cached)):
            return dict(zip(positions, cached, strict=True))
        level, whole = region.level, region.level.unit_box(unit)
        # A computed mip takes none here: reads of its stored chunks do, in other threads too.
        size = whole.size * region.dtype.itemsize if level.is_stored else 0
        with region.volume.room.taking(size):
            voxels = self._read(region, whole)
            tiles = {}
            for key, index in zip(keys, positions, strict=True):
                part = voxels
                if len(keys) > 1:
                    part = voxels[level.tile_box(index).relative_to(whole.start).slices]
                tiles[index] = _own(part)
                self._cache.set(key, tiles[index])
        return tiles


def _suffix(state: EditState) -> str:
    """Return what the key of a tile ends with: states of several lines do not evict each other."""
    return (PATCHED if state.patched is state else SEGMENTS) + state.line


def _own(voxels: Voxels) -> Voxels:
    """Return read-only voxels that keep no larger array in memory."""
    owner = voxels.base
    if not voxels.flags.c_contiguous or getattr(owner, "nbytes", 0) > voxels.nbytes:
        voxels = voxels.copy()
    voxels.flags.writeable = False
    return voxels
