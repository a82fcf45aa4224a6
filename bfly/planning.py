"""Planning: which tiles a request needs, and whether there is room for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bfly.errors import TooLarge
from bfly.geometry import BoundingBox, Zyx, indexes
from bfly.queries.tile import TileQuery

if TYPE_CHECKING:
    from bfly.level import Level
    from bfly.queries.data import DataQuery

__all__ = ["by_unit", "check_size", "tile_of", "tiles_of"]


def tile_of(d_query: DataQuery, index: Zyx) -> TileQuery:
    """Give the request for one tile that is part of a request."""
    return TileQuery(d_query, index, d_query.part_of_tile(index))


def tiles_of(d_query: DataQuery) -> BoundingBox:
    """Give the positions of the tiles that a request needs."""
    level = d_query.volume.level(d_query.resolution)
    box = d_query.box.relative_to(level.origin) & level.whole
    return box.in_tiles(level.tile) if box.size else BoundingBox.of_shape((0, 0, 0))


def check_size(d_query: DataQuery, limit: int) -> None:
    """Raise `TooLarge` if the voxels of a request take more bytes than a limit."""
    size = d_query.nbytes
    if size > limit:
        raise TooLarge(
            f"The cutout of {d_query.shape} voxels (depth, height, width) at resolution "
            f"{d_query.resolution} takes {size} bytes; max-cutout-size is {limit}."
        )


def by_unit(level: Level, tiles: BoundingBox) -> list[list[Zyx]]:
    """List the positions of tiles, by what is read at once."""
    groups: dict[Zyx, list[Zyx]] = {}
    for index in indexes(tiles):
        groups.setdefault(level.unit(index).start, []).append(index)
    return list(groups.values())
