"""Minimum cuts level by level: strong connections first, however many weak ones oppose them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bfly.edits.components import components
from bfly.splitting.max_flow import Graph, source_side

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["separated"]


def separated(graph: Graph, source: int, sink: int) -> NDArray[np.bool_]:
    """Return which nodes are on the source's side of the cut.

    The area of a membrane along which two neurons touch exceeds by far that of the thin neck of one
    of them: a minimum cut of sums cuts necks. So weights of different levels, which are powers of
    2, are not added up. The strongest level at which source and sink are connected is cut first, at
    the least sum of this level; what remains connected there stays together, and the next level
    follows. That is the limit of minimum cuts of ever higher powers of the weights, with levels
    in place of single weights. (C. Couprie, L. Grady, L. Najman and H. Talbot, Power watershed,
    IEEE Transactions on Pattern Analysis and Machine Intelligence 33, 2011.)

    Parameters
    ----------
    graph : Graph
        Nodes and edges, at most one between two nodes.
    source, sink : int
        Two nodes.

    Returns
    -------
    numpy.ndarray
        bool, true on the source's side; false for nodes that are connected to neither.
    """
    node = np.arange(graph.nodes)
    levels = np.frexp(graph.weights)[1]
    order = np.argsort(-levels, kind="stable")
    for edges in np.split(order, np.flatnonzero(np.diff(levels[order])) + 1):
        a, b = node[graph.a[edges]], node[graph.b[edges]]
        is_cut = np.minimum(a, b) == min(source, sink)
        is_cut &= np.maximum(a, b) == max(source, sink)
        is_kept = (a != b) & ~is_cut
        a, b, weights = a[is_kept], b[is_kept], graph.weights[edges][is_kept]
        label = components(graph.nodes, a, b)
        if label[source] == label[sink]:
            inside = label[a] == label[source]
            nodes, ends = np.unique(np.stack([a[inside], b[inside]]), return_inverse=True)
            part = Graph(
                len(nodes), ends.reshape(2, -1)[0], ends.reshape(2, -1)[1], weights[inside]
            )
            first, last = (int(np.searchsorted(nodes, end)) for end in (source, sink))
            side = source_side(part.merged(np.arange(len(nodes))), first, last)
            label[nodes] = np.where(side, source, sink)
        node = label[node]
        source, sink = int(label[source]), int(label[sink])
    result: NDArray[np.bool_] = node == source
    return result
