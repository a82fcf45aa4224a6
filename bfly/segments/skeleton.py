"""The skeleton of a set of voxels: paths along the middle, from a root to all ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from bfly.segments.teasar import paths_of
from bfly.segments.voxel_graph import STEPS, graph_of, radii_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.geometry import BoundingBox
    from bfly.segments.voxel_graph import VoxelGraph

    Floats = NDArray[np.float64]
    Places = NDArray[np.int64]

__all__ = ["Skeleton", "skeleton"]

SPECK = 64
"""Voxels below which a component is one vertex, unless it is the largest: noise has thousands."""

PASSES = 8
"""Times that the vertices of a path are moved to the middle of their neighbours. Paths from voxel
to voxel are a tenth longer than the lines that they follow."""


class Skeleton(NamedTuple):
    """A forest.

    Parameters
    ----------
    vertices : numpy.ndarray
        float64 of shape (n, 3): z, y, x in the unit of the voxel size.
    radii : numpy.ndarray
        float64 of shape (n,): the distance to the nearest voxel outside, in that unit.
    parents : numpy.ndarray
        int64 of shape (n,): the parent of each vertex, before it in the order; -1 of a root.
    """

    vertices: Floats
    radii: Floats
    parents: Places

    @property
    def edges(self) -> Places:
        """Pairs of parent and child, each child once; shape (m, 2)."""
        children = np.flatnonzero(self.parents >= 0)
        return np.stack([self.parents[children], children], axis=1)

    @property
    def lengths(self) -> Floats:
        """Length of each edge."""
        ends = self.vertices[self.edges]
        lengths: Floats = np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1)
        return lengths

    @property
    def branch_points(self) -> int:
        """Vertices with three or more edges."""
        return int((np.bincount(self.edges.ravel()) > 2).sum())


def skeleton(
    places: Places,
    voxel_size: tuple[float, float, float],
    volume: BoundingBox | None = None,
) -> Skeleton:
    """Return the skeleton of voxels, a tree for each component of 26-connected ones.

    Its first vertices are those of the largest component. A vertex is moved from the middle of
    its voxel by half its radius at most.

    Parameters
    ----------
    places : numpy.ndarray
        int64 of shape (n, 3), n > 0: z, y, x of each voxel, none twice, in any order.
    voxel_size : tuple of float
        Size of a voxel (z, y, x).
    volume : BoundingBox, optional
        The volume they are cut from, whose faces are no surface.
    """
    size = np.array(voxel_size, np.float64)
    voxels = graph_of(places, volume)
    radii = radii_of(voxels, size)
    graph = _lengths(voxels, size)
    count, component = connected_components(graph, directed=False)
    counts = np.bincount(component, minlength=count)
    if count > 1:
        ranks = np.empty(count, np.int64)
        ranks[np.argsort(-counts, kind="stable")] = np.arange(count)
        order = np.argsort(ranks[component], kind="stable")
        voxels, radii, component = voxels.ordered(order), radii[order], component[order]
        del graph  # before there is another
        graph = _lengths(voxels, size)
    points = (voxels.places + 0.5) * size
    del voxels  # hundreds of bytes for each voxel
    stops = np.cumsum(np.sort(counts)[::-1])
    large = max(1, int((counts >= SPECK).sum()))
    paths: list[Places] = []
    for start, stop in zip([0, *stops[: large - 1].tolist()], stops[:large].tolist(), strict=True):
        part = _part(graph, start, stop)
        paths += [start + path for path in paths_of(part, points[start:stop], radii[start:stop])]
    specks = np.arange(stops[large - 1], len(radii))
    paths += list(_deepest(specks, component, radii)[:, None])
    return _smoothed(_joined(paths, points, radii))


def _lengths(voxels: VoxelGraph, size: Floats) -> csr_array:
    """Return the distances of neighbours."""
    neighbours = np.ascontiguousarray(voxels.neighbours.T)
    is_there = neighbours >= 0
    lengths = np.linalg.norm(STEPS * size, axis=1)
    ends = np.concatenate(([0], np.cumsum(is_there.sum(axis=1)))).astype(np.int32)
    values = np.broadcast_to(lengths, is_there.shape)[is_there]
    count = len(voxels.places)
    return csr_array((values, neighbours[is_there], ends), shape=(count, count))


def _part(graph: csr_array, start: int, stop: int) -> csr_array:
    """Return a component whose voxels follow each other."""
    first, last = graph.indptr[start], graph.indptr[stop]
    ends = graph.indptr[start : stop + 1] - first
    count = stop - start
    indices = graph.indices[first:last] - np.int32(start)
    return csr_array((graph.data[first:last], indices, ends), shape=(count, count))


def _deepest(group: Places, component: NDArray[np.int32], radii: Floats) -> Places:
    """Return the voxel of each component that is the farthest from the surface."""
    by_depth = group[np.lexsort((-radii[group], component[group]))]
    _, first = np.unique(component[by_depth], return_index=True)
    deepest: Places = by_depth[first]
    return deepest


def _joined(paths: list[Places], points: Floats, radii: Floats) -> Skeleton:
    """Return a forest of the vertices on paths, parents before children."""
    numbers: dict[int, int] = {}
    parents: list[int] = []
    for path in paths:
        above = -1
        for place in reversed(path.tolist()):
            if place not in numbers:
                numbers[place] = len(parents)
                parents.append(above)
            above = numbers[place]
    used = np.fromiter(numbers, np.int64, len(numbers))
    return Skeleton(points[used], radii[used], np.array(parents, np.int64))


def _smoothed(rough: Skeleton) -> Skeleton:
    """Return a skeleton without the stairs of the voxels; ends and branch points stay."""
    edges = rough.edges
    degrees = np.bincount(edges.ravel(), minlength=len(rough.parents))
    child = np.full(len(rough.parents), -1)
    child[edges[:, 0]] = edges[:, 1]
    inner = np.flatnonzero((degrees == 2) & (rough.parents >= 0))
    before, after = rough.parents[inner], child[inner]
    vertices, most = rough.vertices.copy(), rough.radii[inner] / 2
    for _ in range(PASSES):
        middle = (vertices[before] + vertices[after]) / 4 + vertices[inner] / 2
        moved = middle - rough.vertices[inner]
        apart = np.linalg.norm(moved, axis=1)
        share = np.minimum(1, most / np.maximum(apart, 1e-12))
        vertices[inner] = rough.vertices[inner] + moved * share[:, None]
    return rough._replace(vertices=vertices)
