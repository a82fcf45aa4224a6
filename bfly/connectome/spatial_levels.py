"""Spatial levels of cells, from which a viewer reads as many synapses as it can show.

The coarsest level has one cell. The cells of each finer level have an eighth of the volume. A level
holds the synapses of one tier (see `bfly.databases.lod`), the coarsest those of the highest ones.
So each synapse is in one level. If synapses are spread evenly, all cells hold about equally many.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bfly.databases.lod import TIER, TOP
from bfly.errors import Absent
from bfly.geometry import BoundingBox, Zyx, ceil_div, zyx
from bfly.tables.columns import ENDS, POINT

if TYPE_CHECKING:
    from bfly.tables.columns import Ranges

__all__ = ["LIMIT", "Cells", "levels"]

LIMIT = 4096
"""Synapses in a cell, at most, if they are spread evenly: about 100 kB, which keeps both answers
and the number of requests small."""


@dataclass(frozen=True)
class Cells:
    """One level.

    Parameters
    ----------
    first, last : int
        First and last tier that it holds.
    origin : tuple of int
        First voxel, zyx at mip 0; the same for all levels.
    size : tuple of int
        Shape of a cell, zyx in voxels of mip 0.
    grid : tuple of int
        Number of cells along each axis, zyx.
    """

    first: int
    last: int
    origin: Zyx
    size: Zyx
    grid: Zyx

    def box(self, cell: Zyx) -> BoundingBox:
        """Return the bounding box of a cell.

        Raises
        ------
        Absent
            There is no such cell.
        """
        if not all(0 <= c < n for c, n in zip(cell, self.grid, strict=True)):
            raise Absent(f"The cell {cell[::-1]} is not in the grid {self.grid[::-1]} (x, y, z).")
        start = zyx(o + c * s for o, c, s in zip(self.origin, cell, self.size, strict=True))
        return BoundingBox.of_shape(self.size, start)


def levels(count: int, ranges: Ranges, voxel_size: tuple[float, float, float]) -> list[Cells]:
    """Return the levels of a dataset, coarsest first.

    Parameters
    ----------
    count : int
        Number of synapses, at least 1.
    ranges : Ranges
        Ranges of their columns.
    voxel_size : tuple of float
        Nanometres, zyx: cells are divided along their longest side.
    """
    finest = 0
    while count > LIMIT * TIER**finest and finest < TOP:
        finest += 1
    origin, extent = _around(ranges)
    halvings = [[0, 0, 0]]
    for _ in range(finest):
        halvings.append(_halved(halvings[-1], extent, voxel_size))
    most = halvings[-1]
    size = [ceil_div(n, 1 << h) for n, h in zip(extent, most, strict=True)]
    return [
        Cells(
            first=finest - level,
            last=finest - level if level else TOP,
            origin=origin,
            size=zyx(s << m - h for s, m, h in zip(size, most, halved, strict=True)),
            grid=zyx(1 << h for h in halved),
        )
        for level, halved in enumerate(halvings)
    ]


def _around(ranges: Ranges) -> tuple[Zyx, Zyx]:
    """Return the first voxel and the shape of the box around all points and ends."""
    origin, extent = [], []
    for axis, *ends in zip(POINT, *ENDS, strict=True):
        spans = [ranges[name] for name in (axis, *ends) if name in ranges]
        low, high = min(int(r[0]) for r in spans), max(int(r[1]) for r in spans)
        origin.append(low)
        extent.append(high - low + 1)
    return zyx(origin), zyx(extent)


def _halved(halvings: list[int], extent: Zyx, voxel_size: tuple[float, float, float]) -> list[int]:
    """Halve the longest side of a cell three times, as long as it has voxels to divide."""
    result = list(halvings)
    for _ in POINT:
        lengths = [
            n * nanometres / (1 << h) if n >> h > 1 else 0.0
            for n, nanometres, h in zip(extent, voxel_size, result, strict=True)
        ]
        if any(lengths):
            result[lengths.index(max(lengths))] += 1
    return result
