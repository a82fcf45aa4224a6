"""Paths that keep the points of a group together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bfly.splitting.libraries import csgraph, sparse
from bfly.splitting.refusal import Reason, SplitRefused

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.splitting.max_flow import Graph

    Places = NDArray[np.int64]

__all__ = ["kept_together"]

ALONG = 2
"""Power of weights in the length of an edge: paths take strong edges, even if more of them."""


def kept_together(graph: Graph, sources: Places, sinks: Places) -> tuple[Places, Places]:
    """Return the nodes of both groups, with those on paths within each group.

    Points of a group that no path connects, even across the other group, stay apart: the
    connection between them is outside the box.

    Parameters
    ----------
    graph : Graph
        Nodes and edges.
    sources, sinks : numpy.ndarray
        int64, nodes without duplicates.

    Raises
    ------
    SplitRefused
        All paths between points of one group cross those of the other (`INSEPARABLE`).
    """
    one, other = _joined(graph, sources, sinks), _joined(graph, sinks, sources)
    if one is not None and other is not None and np.isin(one, other).any():
        # The paths of one group stay, and the other group goes around them if it can.
        around = _joined(graph, sinks, one)
        if around is None:
            one, around = _joined(graph, sources, other), other
        other = around
    if one is None or other is None:
        raise SplitRefused(
            Reason.INSEPARABLE,
            "The two groups cannot be told apart: every way between two points of one group "
            "crosses the other group. Move the points of each group closer together, or split in "
            "two steps with fewer points.",
        )
    return one, other


def _joined(graph: Graph, points: Places, blocked: Places) -> Places | None:
    """Return points and nodes on paths between them; None if only blocked nodes connect them.

    These are Steiner trees by way of the nearest point of each node. (K. Mehlhorn, A faster
    approximation algorithm for the Steiner problem in graphs, Information Processing Letters 27,
    1988.)
    """
    if len(points) == 1 or not len(graph.a):
        return points
    lengths = (graph.weights / graph.weights.max()) ** -ALONG
    whole = sparse().csr_matrix((lengths, (graph.a, graph.b)), shape=(graph.nodes,) * 2)
    is_open = ~(np.isin(graph.a, blocked) | np.isin(graph.b, blocked))
    a, b, lengths = graph.a[is_open], graph.b[is_open], lengths[is_open]
    matrix = sparse().csr_matrix((lengths, (a, b)), shape=(graph.nodes,) * 2)
    _, label = csgraph().connected_components(matrix, directed=False)
    _, original = csgraph().connected_components(whole, directed=False)
    if len(np.unique(label[points])) > len(np.unique(original[points])):
        return None
    distance, before, nearest = csgraph().dijkstra(
        matrix, directed=False, indices=points, min_only=True, return_predecessors=True
    )
    is_bridge = (nearest[a] != nearest[b]) & np.isfinite(distance[a])
    a, b, lengths = a[is_bridge], b[is_bridge], lengths[is_bridge]
    ends = np.sort(np.searchsorted(points, np.stack([nearest[a], nearest[b]])), axis=0)
    total = distance[a] + lengths + distance[b]
    order = np.lexsort((total, ends[1], ends[0]))
    if not len(order):
        return points
    keys, first = np.unique(ends[:, order], axis=1, return_index=True)
    shortest = order[first]
    tree = csgraph().minimum_spanning_tree(
        sparse().csr_matrix((total[shortest], tuple(keys)), shape=(len(points),) * 2)
    )
    is_used = np.asarray(tree[tuple(keys)] > 0).ravel()
    reached = set(points.tolist())
    for node in np.concatenate([a[shortest[is_used]], b[shortest[is_used]]]).tolist():
        step = node
        while step not in reached:
            reached.add(step)
            step = int(before[step])
    return np.array(sorted(reached), np.int64)
