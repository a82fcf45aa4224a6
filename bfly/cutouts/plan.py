"""Planning: the tiles of a region, the positions of their voxels, and the size limit."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from bfly.errors import TooLarge
from bfly.geometry import BoundingBox, Zyx

if TYPE_CHECKING:
    import numpy as np

    from bfly.volumes.level import Level
    from bfly.volumes.region import Region

    Voxels = np.ndarray[Any, np.dtype[Any]]
    Found = tuple["Part", Voxels]

__all__ = ["Part", "check_size", "parts_of", "shares", "tiles_of"]

Slices = tuple[slice, slice, slice]

Part = tuple[Zyx, Slices, Slices]
"""Part of a tile that a request needs. The items are the tile's position (z, y, x), in tiles; the
voxels, from the tile's first; and their target, from the first voxel of the request's box. A plain
tuple, since a large cutout makes thousands of them."""

TOGETHER = 64
"""Cached tiles per share: copying them takes less time than waking another thread."""


def tiles_of(region: Region) -> BoundingBox:
    """Return the positions of the tiles that a region touches."""
    level = region.level
    box = region.local & level.whole
    return box.in_tiles(level.tile) if box.size else BoundingBox.of_shape((0, 0, 0))


def parts_of(region: Region, tiles: BoundingBox) -> list[Part]:
    """List the parts that a region needs of some of its tiles, in C order of the tiles.

    Slices are computed once per axis, and shared by all tiles in a row.
    """
    if not tiles.size:
        return []
    box, tile = region.local, region.level.tile
    inside = box & region.level.whole
    # Positions, requested voxels and their targets along each of the three axes.
    along = [
        _along(*axis)
        for axis in zip(
            inside.start, inside.stop, tile, tiles.start, tiles.stop, box.start, strict=True
        )
    ]
    return list(zip(*(itertools.product(*axes) for axes in zip(*along, strict=True)), strict=True))


def _along(
    start: int, stop: int, tile: int, first: int, last: int, origin: int
) -> tuple[list[int], list[slice], list[slice]]:
    """Return the tiles along one axis: positions, requested slices and target slices."""
    positions = list(range(first, last))
    begins = [index * tile for index in positions]
    ends = [(max(start, begin), min(stop, begin + tile)) for begin in begins]
    wanted = [slice(a - begin, b - begin) for (a, b), begin in zip(ends, begins, strict=True)]
    return positions, wanted, [slice(a - origin, b - origin) for a, b in ends]


def shares(level: Level, parts: list[Found]) -> list[list[Found]]:
    """Divide the parts of a request into shares, each of them work for one thread.

    Parameters
    ----------
    level : Level
        The mip.
    parts : list of (Part, array)
        Each part with its tile, which is empty unless cached.

    Returns
    -------
    list of list
        Up to `TOGETHER` cached tiles, or the uncached tiles of one unit, which are read at once.
    """
    cached = [part for part in parts if len(part[1])]
    units: dict[Zyx, list[Found]] = {}
    if len(cached) < len(parts):
        for part in parts:
            (position, _, _), tile = part
            if not len(tile):
                units.setdefault(level.unit(position).start, []).append(part)
    batches = [cached[i : i + TOGETHER] for i in range(0, len(cached), TOGETHER)]
    return batches + list(units.values())


def check_size(shape: Zyx, mip: int, nbytes: int, limit: int) -> None:
    """Raise `TooLarge` if voxels take more bytes than a limit.

    Parameters
    ----------
    shape : tuple of int
        Shape of the voxels (z, y, x), for the message.
    mip : int
        Their mip, for the message.
    nbytes, limit : int
        Bytes that they take, and may take.
    """
    if nbytes > limit:
        raise TooLarge(
            f"The cutout of {shape} voxels (depth, height, width) at resolution "
            f"{mip} takes {nbytes} bytes; max-cutout-size is {limit}."
        )
