"""Random walks between the nodes of a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bfly.splitting.libraries import csgraph, linalg, sparse
from bfly.splitting.paths import kept_together

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.splitting.max_flow import Graph

    Places = NDArray[np.int64]

__all__ = ["walked"]

LEAST = 1e-9
"""What is added to weights, relative to the largest one: equations with zeros have no solution."""


def walked(graph: Graph, sources: Places, sinks: Places) -> NDArray[np.int64]:
    """Return the group that a random walk from each node is more likely to meet first.

    A walk takes strong edges. Unlike the cheapest cut, it is not misled by one gap in a membrane,
    nor by a neck: many ways count. (L. Grady, Random walks for image segmentation, IEEE
    Transactions on Pattern Analysis and Machine Intelligence 28, 2006.)

    The nodes of a group that are connected without passing the other group remain connected.

    Parameters
    ----------
    graph : Graph
        Nodes and edges, at most one between two nodes.
    sources, sinks : numpy.ndarray
        int64, nodes without duplicates; no node is in both.

    Returns
    -------
    numpy.ndarray
        int64: 1 for sources, 2 for sinks, 0 for nodes that are connected to neither.

    Raises
    ------
    SplitRefused
        All paths between nodes of one group cross the other (`INSEPARABLE`).
    """
    whole = _components(graph, np.ones(graph.nodes, np.int64))
    groups = sources, sinks
    sides = _sides(graph, whole, groups)
    pieces = _components(graph, sides)
    if any(len(np.unique(pieces[own])) > len(np.unique(whole[own])) for own in groups):
        sides = _sides(graph, whole, kept_together(graph, *groups))
    return sides


def _sides(graph: Graph, whole: Places, groups: tuple[Places, Places]) -> Places:
    sources, sinks = groups
    weights = graph.weights / graph.weights.max(initial=LEAST) + LEAST
    ends = np.concatenate([graph.a, graph.b]), np.concatenate([graph.b, graph.a])
    matrix = sparse().csr_matrix((np.concatenate([weights, weights]), ends), (graph.nodes,) * 2)
    likely = np.zeros(graph.nodes)
    likely[sources] = 1
    is_met = np.isin(whole, whole[np.concatenate(groups)])
    is_free = is_met.copy()
    is_free[sources] = is_free[sinks] = False
    free = np.flatnonzero(is_free)
    if len(free):
        rows = matrix[free]
        laplacian = sparse().diags(np.asarray(rows.sum(axis=1)).ravel()) - rows[:, free]
        known = np.asarray(rows[:, sources].sum(axis=1)).ravel()
        likely[free] = (
            linalg()
            .splu(
                laplacian.tocsc(),
                permc_spec="MMD_AT_PLUS_A",
                diag_pivot_thresh=0.0,
                options={"SymmetricMode": True},
            )
            .solve(known)
        )
    return np.where(is_met, np.where(likely >= 0.5, 1, 2), 0)


def _components(graph: Graph, sides: Places) -> Places:
    """Return the component of each node by edges within sides."""
    is_kept = sides[graph.a] == sides[graph.b]
    a, b = graph.a[is_kept], graph.b[is_kept]
    matrix = sparse().csr_matrix((np.ones(len(a)), (a, b)), shape=(graph.nodes,) * 2)
    label: Places = csgraph().connected_components(matrix, directed=False)[1]
    return label
