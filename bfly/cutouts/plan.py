"""Planning: which tiles a request needs, where their voxels go, and whether there is room."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from bfly.errors import TooLarge
from bfly.geometry import BoundingBox, Zyx
from bfly.queries.tile import TileQuery

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from bfly.queries.data import DataQuery
    from bfly.volumes.level import Level

    Voxels = np.ndarray[Any, np.dtype[Any]]
    Found = tuple["Part", Voxels]

__all__ = ["Part", "check_size", "parts_of", "shares", "tile_of", "tiles_of"]

Slices = tuple[slice, slice, slice]

Part = tuple[Zyx, Slices, Slices]
"""What a request wants of a tile: the tile's position (z, y, x), counted in tiles; the voxels, from
the tile's first; and where they go, from the first voxel of the request's box. A plain tuple, since
thousands of them are made for a large cutout."""

TOGETHER = 64
"""So many tiles that are cached are copied in less time than it takes to wake a thread for them."""


def tile_of(d_query: DataQuery, index: Zyx) -> TileQuery:
    """Give the request for one tile that is part of a request."""
    return TileQuery(d_query, index, d_query.part_of_tile(index))


def tiles_of(d_query: DataQuery) -> BoundingBox:
    """Give the positions of the tiles that a request needs."""
    level = d_query.volume.level(d_query.resolution)
    box = d_query.box.relative_to(level.origin) & level.whole
    return box.in_tiles(level.tile) if box.size else BoundingBox.of_shape((0, 0, 0))


def parts_of(d_query: DataQuery, tiles: BoundingBox) -> list[Part]:
    """List what a request wants of some of its tiles, in C order of the tiles.

    What is alike for a whole row of tiles is worked out once, axis by axis.
    """
    if not tiles.size:
        return []
    level = d_query.volume.level(d_query.resolution)
    box = d_query.box.relative_to(level.origin)
    inside = box & level.whole
    stretches = zip(
        inside.start, inside.stop, level.tile, tiles.start, tiles.stop, box.start, strict=True
    )
    axes = [zip(*_along(*stretch), strict=True) for stretch in stretches]
    indexes, wanted, places = (itertools.product(*three) for three in zip(*axes, strict=True))
    return list(zip(indexes, wanted, places, strict=True))


def _along(
    start: int, stop: int, tile: int, first: int, last: int, origin: int
) -> Iterator[tuple[int, slice, slice]]:
    """Go along an axis: a tile's position, what is wanted of it, and where that goes."""
    for index in range(first, last):
        begin = index * tile
        a, b = max(start, begin), min(stop, begin + tile)
        yield index, slice(a - begin, b - begin), slice(a - origin, b - origin)


def shares(level: Level, parts: list[Found]) -> list[list[Found]]:
    """Divide the work on parts of a request into what one thread does without a break.

    Parameters
    ----------
    level : Level
        The mip.
    parts : list of (Part, array)
        Each with its tile, which is empty unless it is cached.

    Returns
    -------
    list of list
        Tiles that are cached, a good many of them; or some that are not and are read at once.
    """
    cached = [each for each in parts if len(each[1])]
    units: dict[Zyx, list[Found]] = {}
    if len(cached) < len(parts):
        for each in parts:
            (position, _, _), tile = each
            if not len(tile):
                units.setdefault(level.unit(position).start, []).append(each)
    batches = [cached[i : i + TOGETHER] for i in range(0, len(cached), TOGETHER)]
    return batches + list(units.values())


def check_size(d_query: DataQuery, limit: int) -> None:
    """Raise `TooLarge` if the voxels of a request take more bytes than a limit."""
    size = d_query.nbytes
    if size > limit:
        raise TooLarge(
            f"The cutout of {d_query.shape} voxels (depth, height, width) at resolution "
            f"{d_query.resolution} takes {size} bytes; max-cutout-size is {limit}."
        )
