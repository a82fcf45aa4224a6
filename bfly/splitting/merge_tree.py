"""The tree of merges between lists of supervoxels, and which merge a split cuts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.edits.components import components
from bfly.splitting.libraries import csgraph, sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Places = NDArray[np.int64]

__all__ = ["MergeTree", "sums_across"]

EXACT = 1e-9
"""Sums of weights below this part of their level are errors of rounding."""


class MergeTree:
    """Nodes that merges connect. If more than one way leads to a node, the earlier merges count.

    Parameters
    ----------
    count : int
        Number of nodes.
    ends : numpy.ndarray
        int64 of shape (n, 2): the nodes that each merge joined.
    made_by : numpy.ndarray
        int64, from 1 on: the operation of each merge.
    """

    def __init__(self, count: int, ends: Places, made_by: Places) -> None:
        low, high = np.sort(ends, axis=1).T
        order = np.lexsort((made_by, low * count + high))
        _, first = np.unique((low * count + high)[order], return_index=True)
        kept = order[first]
        kept = kept[low[kept] < high[kept]]
        graph = sparse().csr_matrix((made_by[kept], (low[kept], high[kept])), shape=(count,) * 2)
        half = csgraph().minimum_spanning_tree(graph)
        self._tree = (half + half.T).tocsr()

    def way(self, sources: Places, sinks: Places) -> Places | None:
        """Return the nodes on the way from one group to the other, the first one in each included.

        Parameters
        ----------
        sources, sinks : numpy.ndarray
            int64, nodes of each group, at least one.

        Returns
        -------
        numpy.ndarray or None
            int64; None if no merge lies between the groups: they, or the ways within both, have a
            node in common, or nothing connects them.
        """
        start, stop = int(sources[0]), int(sinks[0])
        away, back = self._before(start), self._before(stop)
        if away[stop] < 0:
            return None
        one, other = self._joined(start, away, sources), self._joined(stop, back, sinks)
        if one & other:
            return None
        path = _path(stop, away)[::-1]
        first = max(at for at, node in enumerate(path) if node in one)
        last = min(at for at, node in enumerate(path) if node in other)
        return np.array(path[first : last + 1])

    def merges(self, way: Places) -> Places:
        """Return the operation of each merge along a way."""
        return np.asarray(self._tree[way[:-1], way[1:]]).ravel().astype(np.int64)

    def positions(self, way: Places) -> Places:
        """Return for each node the place on the way from which it hangs; 0 if it does not."""
        count = self._tree.shape[0]
        a, b = self._tree.nonzero()
        place = np.full(count, -1)
        place[way] = np.arange(len(way))
        on_way = (place[a] >= 0) & (place[b] >= 0) & (np.abs(place[a] - place[b]) == 1)
        label = components(count, a[~on_way], b[~on_way])
        result = np.zeros(count, np.int64)
        result[label[way]] = np.arange(len(way))
        return result[label]

    def _before(self, start: int) -> Any:
        """Return the node before each one on the way from a node; negative where there is none."""
        return csgraph().breadth_first_order(self._tree, start, directed=False)[1]

    def _joined(self, start: int, before: Places, group: Places) -> set[int]:
        """Return the nodes on the ways within a group, as far as these exist."""
        found = {start}
        for node in group.tolist():
            if before[node] >= 0:
                found.update(_path(node, before))
        return found


def _path(node: int, before: Places) -> list[int]:
    """Return the nodes from one back to where the ways begin."""
    path = [node]
    while before[node] >= 0:
        node = int(before[node])
        path.append(node)
    return path


def sums_across(steps: int, spans: Places, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weight of the contacts across each step of a way, level by level.

    Parameters
    ----------
    steps : int
        Number of steps: from place 0 to 1, and so on.
    spans : numpy.ndarray
        int64 of shape (n, 2): the places that each contact connects.
    weights : numpy.ndarray
        float64, weight of each contact.

    Returns
    -------
    numpy.ndarray
        float64 of shape (levels, steps), the level of the least weights first; levels are powers
        of 2.
    """
    low, high = np.sort(spans, axis=1).T
    level = np.frexp(weights)[1]
    levels, row = np.unique(level, return_inverse=True)
    changes = np.zeros((len(levels), steps + 1))
    np.add.at(changes, (row, low), weights)
    np.add.at(changes, (row, high), -weights)
    sums = changes.cumsum(axis=1)[:, :steps]
    sums[sums < EXACT * np.ldexp(1.0, levels)[:, None]] = 0
    return sums
