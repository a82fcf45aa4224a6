"""The graph of a set of voxels: which ones touch, and how far each is from the surface."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.geometry import BoundingBox

    Floats = NDArray[np.float64]
    Places = NDArray[np.int64]

__all__ = ["STEPS", "VoxelGraph", "graph_of", "radii_of"]

STEPS = np.array([step for step in product((-1, 0, 1), repeat=3) if any(step)])
"""The 26 steps (z, y, x) to neighbours; a step and its opposite are as far from the ends."""

OUTSIDE, BEYOND = -1, -2
"""Neighbours that are not in the set: within the volume, and beyond a face of it."""


class VoxelGraph(NamedTuple):
    """Voxels and their neighbours.

    Parameters
    ----------
    places : numpy.ndarray
        int64 of shape (n, 3): z, y, x.
    neighbours : numpy.ndarray
        int32 of shape (26, n): the index of the voxel at each of the `STEPS`, `OUTSIDE` or
        `BEYOND`.
    """

    places: Places
    neighbours: NDArray[np.int32]

    def ordered(self, order: NDArray[np.int64]) -> VoxelGraph:
        """Return the same voxels in another order: that of their indexes."""
        inverse = np.empty(len(order), np.int32)
        inverse[order] = np.arange(len(order), dtype=np.int32)
        neighbours = self.neighbours[:, order]
        for row in neighbours:
            there = row >= 0
            row[there] = inverse[row[there]]
        return VoxelGraph(self.places[order], neighbours)


def graph_of(places: Places, volume: BoundingBox | None = None) -> VoxelGraph:
    """Return the graph of voxels.

    Parameters
    ----------
    places : numpy.ndarray
        int64 of shape (n, 3), n > 0: z, y, x of each voxel, none twice, in any order.
    volume : BoundingBox, optional
        What is known: nothing is said of voxels beyond it.
    """
    places = places[np.lexsort(places.T[::-1])]
    local = places - places.min(axis=0) + 1
    _, height, width = (int(size) + 2 for size in local.max(axis=0))
    keys = local @ np.array([height * width, width, 1])
    neighbours = np.full((len(STEPS), len(places)), OUTSIDE, np.int32)
    for ahead in range(len(STEPS) // 2, len(STEPS)):
        wanted = keys + STEPS[ahead] @ np.array([height * width, width, 1])
        found = np.searchsorted(keys, wanted)
        found[found == len(keys)] = 0
        here = np.flatnonzero(keys[found] == wanted)
        neighbours[ahead, here] = found[here]
        neighbours[len(STEPS) - 1 - ahead, found[here]] = here
    if volume is not None:
        for axis, (start, stop) in enumerate(zip(volume.start, volume.stop, strict=True)):
            for way, face in ((-1, start), (1, stop - 1)):
                leave = np.flatnonzero(STEPS[:, axis] == way)
                neighbours[np.ix_(leave, np.flatnonzero(places[:, axis] == face))] = BEYOND
    return VoxelGraph(places, neighbours)


def radii_of(graph: VoxelGraph, size: Floats) -> Floats:
    """Return the exact distance of each voxel to the nearest one outside, between their centres.

    The face of the volume is no surface, unless all voxels of the volume are in the set.

    Parameters
    ----------
    graph : VoxelGraph
        The voxels.
    size : numpy.ndarray
        Size of a voxel (z, y, x).
    """
    squared = np.full(len(graph.places), np.inf)
    for axis in (2, 1, 0):
        step = np.eye(3, dtype=int)[axis]
        columns = [np.flatnonzero((way == STEPS).all(axis=1))[0] for way in (step, -step)]
        chains = [graph.neighbours[column] for column in columns]
        squared = _nearer(squared, chains, float(size[axis]))
    if np.isinf(squared).any():
        closed = np.where(graph.neighbours == BEYOND, OUTSIDE, graph.neighbours)
        return radii_of(graph._replace(neighbours=closed), size)
    radii: Floats = np.sqrt(squared)
    return radii


def _nearer(squared: Floats, chains: list[NDArray[np.int32]], size: float) -> Floats:
    """Return squared distances along one more axis: the least over all voxels of each line."""
    best = squared.copy()
    for chain in chains:
        of = np.arange(len(chain), dtype=np.int32)
        at, steps = chain, 1
        while len(of):
            apart = (steps * size) ** 2
            is_open = best[of] > apart
            of, at = of[is_open], at[is_open]
            best[of[at == OUTSIDE]] = apart
            of, at = of[at >= 0], at[at >= 0]
            best[of] = np.minimum(best[of], squared[at] + apart)
            at = chain[at]
            steps += 1
    return best
