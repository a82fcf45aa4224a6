"""A request for a part of one tile: the unit that is read and cached."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly import registry
from bfly.geometry import BoundingBox, zyx
from bfly.queries.query import Query
from bfly.sources.tile_coordinates import TileCoordinates

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from bfly.queries.data import DataQuery, Numbers
    from bfly.sources.source import Datasource
    from bfly.volumes.level import Level

__all__ = ["TileQuery"]


class TileQuery(TileCoordinates, Query):
    """One tile of a `DataQuery`, and the requested voxels in it.

    Target and source coordinates are defined as in `DataQuery`.

    Parameters
    ----------
    d_query : DataQuery
        The request that needs the tile; `Query.update_source` was called.
    t_index : array_like of int
        The tile's position zyx, counted in tiles from the channel's first voxel.
    crop : array_like of int or BoundingBox
        The requested voxels, 2 × 3, from the tile's first voxel.
    """

    def __init__(
        self, d_query: DataQuery, t_index: ArrayLike, crop: ArrayLike | BoundingBox
    ) -> None:
        self.data = d_query
        self.keywords = {**d_query.keywords}
        for attribute in Query.WORDS.values():
            setattr(self, attribute, getattr(d_query, attribute))
        self.mip = d_query.resolution
        if not isinstance(t_index, tuple):
            t_index = np.asarray(t_index).ravel().tolist()
        self.index = zyx(t_index)
        if not isinstance(crop, BoundingBox):
            start, stop = np.asarray(crop).reshape(2, 3).tolist()
            crop = BoundingBox(zyx(start), zyx(stop))
        self.crop = crop

    @property
    def key(self) -> str:
        """Key of the tile, unique among all tiles of all channels."""
        return self.volume.tile_key(self.mip, self.index)

    @property
    def level(self) -> Level:
        """Mip of the tile."""
        return self.volume.level(self.mip)

    @property
    def my_source(self) -> Datasource:
        """Source that reads the tile."""
        return self.volume.source

    @property
    def preload_source(self) -> dict[str, Any]:
        """`valid_source` with its size for the cache, as `Query.update_source` takes it."""
        meta = self.RUNTIME.CACHE.META
        return {**self.valid_source, meta.NAME: meta.VALUE} if self.valid_source else {}

    @property
    def valid_source(self) -> dict[str, Any]:
        """Metadata of the source; empty if the path was not opened by one."""
        return {**self.known_volume.keywords} if self.known_volume else {}

    @property
    def source_list(self) -> list[str]:
        """Names of all sources."""
        return list(registry.names("sources"))

    @property
    def SOURCES(self) -> dict[str, type[Datasource]]:  # noqa: N802 - documented name
        """All sources that can be imported, by name."""
        return registry.find("sources")

    def get_source(self, name: str) -> type[Datasource]:
        """Return the source of this name.

        Raises
        ------
        BadRequest
            There is no such source.
        MissingLibrary
            It needs a library that is not installed.
        """
        self.check_list(self.source_list, name, "source")
        source: type[Datasource] = registry.load("sources", name)
        return source

    @property
    def tile(self) -> np.ndarray[Any, np.dtype[Any]]:
        """The whole tile, clipped to the volume, read from the source on each access."""
        level, source = self.level, self.volume.source
        read = partial(source.read, level.stored)
        return level.read(level.tile_box(self.index), source.kind, read)

    @property
    def blocksize(self) -> Numbers:
        """Shape of the tile, before it is clipped to the volume."""
        return self.data.blocksize

    @property
    def all_scales(self) -> Numbers:
        """Voxels of mip 0 per voxel of the tile."""
        return self.data.scales
