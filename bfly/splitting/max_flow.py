"""The cheapest cut between two nodes of a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bfly.splitting.libraries import csgraph, sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Places = NDArray[np.int64]

__all__ = ["Graph", "source_side"]

TOTAL = 1 << 29
"""Sum of all capacities. SciPy adds up flows, and what is left of capacities in both directions, as
int32: both stay below twice this number."""


class Graph(NamedTuple):
    """An undirected graph.

    Parameters
    ----------
    nodes : int
        Number of nodes, which are 0 to ``nodes - 1``.
    a, b : numpy.ndarray
        int64, ends of each edge.
    weights : numpy.ndarray
        float64, positive.
    """

    nodes: int
    a: Places
    b: Places
    weights: NDArray[np.float64]

    def merged(self, node: Places) -> Graph:
        """Return the graph whose nodes are groups of nodes; parallel edges become one.

        Parameters
        ----------
        node : numpy.ndarray
            int64, the number of the group of each node: 0 to the largest number.
        """
        count = int(node.max()) + 1
        low, high = np.sort(np.stack([node[self.a], node[self.b]]), axis=0)
        is_kept = low != high
        keys, edge = np.unique((low * count + high)[is_kept], return_inverse=True)
        weights = np.bincount(edge, self.weights[is_kept], len(keys)).astype(np.float64, copy=False)
        return Graph(count, keys // count, keys % count, weights)


def source_side(graph: Graph, source: int, sink: int) -> NDArray[np.bool_]:
    """Return which nodes the cheapest cut leaves with the source.

    Weights become whole numbers, relative to their sum, of up to 29 bits.

    Parameters
    ----------
    graph : Graph
        Nodes and edges, at most one between two nodes.
    source, sink : int
        Two nodes.

    Returns
    -------
    numpy.ndarray
        bool, true on the source's side. Of several cheapest cuts it is that with the fewest nodes
        on this side, so the result is always the same.
    """
    scale = (TOTAL - len(graph.a)) / graph.weights.sum()
    capacity = 1 + np.floor(graph.weights * scale).astype(np.int32)
    ends = np.concatenate([graph.a, graph.b]), np.concatenate([graph.b, graph.a])
    matrix = sparse().csr_matrix(
        (np.concatenate([capacity, capacity]), ends), shape=(graph.nodes, graph.nodes)
    )
    left = matrix - csgraph().maximum_flow(matrix, source, sink).flow
    left.eliminate_zeros()
    side = np.zeros(graph.nodes, bool)
    side[csgraph().breadth_first_order(left, source, return_predecessors=False)] = True
    return side
