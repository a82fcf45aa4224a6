"""Levels of cells through a volume, from which a viewer takes as many synapses as it can show.

The coarsest level has one cell, and each other cells of an eighth of the volume. A level holds the
synapses of one tier (see `bfly.databases.lod`), the coarsest those of the highest ones, so
that each synapse is in one level and, where synapses are spread evenly, all cells of all levels
hold about equally many.
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
"""So many synapses a cell holds at most, where they are spread evenly: some 100 kB, and fewer
requests than anybody waits for."""


@dataclass(frozen=True)
class Cells:
    """One level.

    Parameters
    ----------
    first, last : int
        The tiers it holds.
    origin : tuple of int
        Its first voxel, zyx, mip 0; the same for all levels.
    size : tuple of int
        The voxels of a cell.
    grid : tuple of int
        How many cells there are.
    """

    first: int
    last: int
    origin: Zyx
    size: Zyx
    grid: Zyx

    def box(self, cell: Zyx) -> BoundingBox:
        """Give the voxels of a cell.

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
    """Choose the levels of a dataset, the coarsest first.

    Parameters
    ----------
    count : int
        How many synapses there are, one at least.
    ranges : Ranges
        Of their columns.
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
    """Give the first voxel and the shape of the box around all that is drawn."""
    origin, extent = [], []
    for axis, *ends in zip(POINT, *ENDS, strict=True):
        known = [ranges[name] for name in (axis, *ends) if name in ranges]
        low, high = min(int(r[0]) for r in known), max(int(r[1]) for r in known)
        origin.append(low)
        extent.append(high - low + 1)
    return zyx(origin), zyx(extent)


def _halved(halvings: list[int], extent: Zyx, voxel_size: tuple[float, float, float]) -> list[int]:
    """Halve the longest side of a cell three times, as far as it has voxels to be divided."""
    result = list(halvings)
    for _ in POINT:
        lengths = [
            n * nanometres / (1 << h) if n >> h > 1 else 0.0
            for n, nanometres, h in zip(extent, voxel_size, result, strict=True)
        ]
        if any(lengths):
            result[lengths.index(max(lengths))] += 1
    return result
