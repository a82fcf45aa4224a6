"""The grid of the nodes of meshes of several resolutions: an octree, aligned with the dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bfly.geometry import BoundingBox, Zyx, ceil_div, zyx
from bfly.segments.posting import CELL

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from bfly.volumes.volume import Volume

__all__ = ["NodeGrid"]

MOST_CELLS = 8
"""Voxels of a node at its mip, in those of `CELL`: levels end before a node has more. Without a
known voxel size z is never halved, and a node of level l has 2**l times the sections."""

SPAN = 2
"""Nodes along each axis, at most, that a segment has at its last level."""

MARGIN = 3
"""Voxels of the mip around a node that its surface depends on."""


class NodeGrid(NamedTuple):
    """Nodes of all levels. A node of level l has 2**l times the size of those of level 0.

    Parameters
    ----------
    origin : tuple of int
        First corner of the node (0, 0, 0) (z, y, x), in voxels of mip 0, in the dataset.
    shape : tuple of int
        Nodes of level 0 (z, y, x).
    factors : tuple
        Voxels of mip 0 per voxel (z, y, x) of the mip of each level, which is its number.
    """

    origin: Zyx
    shape: Zyx
    factors: tuple[Zyx, ...]

    @classmethod
    def of(cls, volume: Volume) -> NodeGrid:
        """Return the grid of a channel."""
        places = [
            volume.level(mip).place.refined(volume.level(mip).factor)
            for mip in range(volume.levels)
        ]
        low = np.min([place.start for place in places], axis=0) // CELL
        shape = zyx(-(-np.max([place.stop for place in places], axis=0) // CELL) - low)
        factors: list[Zyx] = []
        for mip in range(volume.levels):
            factor = volume.level(mip).factor
            if np.prod(2.0**mip / np.array(factor)) > MOST_CELLS:
                break
            factors.append(factor)
            if max(shape) <= SPAN << mip:
                break
        return cls(zyx(low * CELL), shape, tuple(factors))

    def nodes(self, level: int) -> Zyx:
        """Return how many nodes a level has (z, y, x)."""
        return zyx(ceil_div(count, 1 << level) for count in self.shape)

    def size(self, level: int) -> Zyx:
        """Return the size of a node (z, y, x), in voxels of mip 0."""
        return zyx(side << level for side in CELL)

    def box(self, level: int, node: Zyx) -> BoundingBox:
        """Return a node, in voxels of mip 0."""
        size = self.size(level)
        start = zyx(o + i * s for o, i, s in zip(self.origin, node, size, strict=True))
        return BoundingBox.of_shape(size, start)

    def around(self, level: int, node: Zyx) -> BoundingBox:
        """Return the voxels of the level's mip that the surface in a node depends on."""
        box, factor = self.box(level, node), self.factors[level]
        start = (a // f - MARGIN for a, f in zip(box.start, factor, strict=True))
        stop = (ceil_div(b, f) + MARGIN for b, f in zip(box.stop, factor, strict=True))
        return BoundingBox(zyx(start), zyx(stop))

    def levels(
        self, low: NDArray[np.integer[Any]], high: NDArray[np.integer[Any]]
    ) -> NDArray[np.uint8]:
        """Return how many levels segments have: to the first with `SPAN` nodes along each axis.

        Parameters
        ----------
        low, high : numpy.ndarray
            Bounding boxes of shape (n, 3), in voxels of mip 0 in the dataset.
        """
        result = np.full(len(low), len(self.factors), np.uint8)
        for level in reversed(range(len(self.factors))):
            first = (low - self.origin) // self.size(level)
            last = (high - 1 - self.origin) // self.size(level)
            result[(last - first < SPAN).all(axis=1)] = level + 1
        return result
