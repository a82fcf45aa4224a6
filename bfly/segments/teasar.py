"""Paths of a component by TEASAR: each from the farthest end that is left, along the middle.

The root is the farthest voxel from any voxel. A path goes to the nearest vertex of an earlier one,
and covers what is near it, so that it needs no path of its own.
Source: M. Sato et al., TEASAR: tree-structure extraction algorithm for accurate and robust
skeletons, Pacific Graphics 2000; the penalty is that of I. Bitter et al., Penalized-distance
volumetric skeleton algorithm, IEEE TVCG 2001.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from bfly.concurrency.admission import check_wanted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Places = NDArray[np.int64]

__all__ = ["CONSTANT", "SCALE", "paths_of"]

SCALE, CONSTANT = 1.5, 300.0
"""A path covers all voxels within `SCALE` times its distance from the surface, and `CONSTANT`
nanometres more: the values that are usual for neurons in electron microscopy."""

PULL, POWER = 1e5, 4
"""Weight and power with which paths are kept away from the surface."""

LONGER = 1.13
"""How much longer a way over 26 neighbours may be than the straight line."""


def paths_of(graph: csr_array, points: Floats, radii: Floats) -> Iterator[Places]:
    """Yield the paths of a component, each from an end to a vertex of an earlier one.

    Parameters
    ----------
    graph : scipy.sparse.csr_array
        Distances of neighbours, in nanometres; connected.
    points : numpy.ndarray
        Position of each voxel, in nanometres; shape (n, 3).
    radii : numpy.ndarray
        Distance of each voxel from the surface, in nanometres.

    Raises
    ------
    Abandoned
        No client waits for the result any more.
    """
    root = int(dijkstra(graph, indices=0).argmax())
    far = dijkstra(graph, indices=root)
    pull = PULL * (1 - radii / (radii.max() * 1.01)) ** POWER + far / max(far.max(), 1e-9)
    costs = csr_array((pull[graph.indices], graph.indices, graph.indptr), graph.shape)
    price, before = dijkstra(costs, indices=root, return_predecessors=True)
    cover = _Cover(graph, points, SCALE * radii + CONSTANT)
    used = np.array([root])
    for end in np.argsort(-far, kind="stable").tolist():
        if not cover.is_left[end]:
            continue
        check_wanted()
        path = _traced(before, end, used)
        if len(used) > 1:
            # The way to the root is cheap, but the way to an earlier path may be cheaper.
            most = 1.001 * (price[end] - price[path[-1]] + pull[path[-1]])
            cost, back = dijkstra(costs, indices=end, limit=most, return_predecessors=True)
            nearest = int(used[cost[used].argmin()])
            path = _traced(back, nearest, np.array([end]))[::-1]
        used = np.concatenate((used, path))
        yield path
        cover.add(path)


def _traced(before: NDArray[np.int32], start: int, stops: Places) -> Places:
    """Return the vertices from one to the first of some others."""
    is_stop, path = set(stops.tolist()), [start]
    while path[-1] not in is_stop:
        path.append(int(before[path[-1]]))
    return np.array(path)


class _Cover:
    """What paths cover: all within reach of a vertex of theirs that a way inside leads to.

    Parameters
    ----------
    graph : scipy.sparse.csr_array
        Distances of neighbours.
    points : numpy.ndarray
        Positions of the vertices.
    reach : numpy.ndarray
        How far each vertex reaches.

    Attributes
    ----------
    is_left : numpy.ndarray
        bool, whether each vertex is not covered yet.
    """

    def __init__(self, graph: csr_array, points: Floats, reach: Floats) -> None:
        count, self._used = len(reach), graph.nnz
        self.is_left = np.ones(count, bool)
        self._points, self._reach = points, reach
        # One more vertex, from which a search begins: the farther one reaches, the nearer it is.
        self._values = np.concatenate((graph.data, np.empty(count)))
        self._indices = np.concatenate((graph.indices, np.empty(count, np.int32)))
        self._ends = np.concatenate((graph.indptr, [0])).astype(np.int32)

    def add(self, path: Places) -> None:
        """Cover what is near a path."""
        reach, count = self._reach[path], len(self._reach)
        most, stop = LONGER * float(reach.max()) + 1, self._used + len(path)
        self._values[self._used : stop] = most - LONGER * reach
        self._indices[self._used : stop] = path
        self._ends[-1] = stop
        parts = self._values[:stop], self._indices[:stop], self._ends
        whole = csr_array(parts, shape=(count + 1, count + 1))
        ways = dijkstra(whole, indices=count, limit=most)[:-1]
        near = np.flatnonzero(np.isfinite(ways) & self.is_left)
        apart, nearest = cKDTree(self._points[path]).query(self._points[near])
        self.is_left[near[apart <= reach[nearest]]] = False
