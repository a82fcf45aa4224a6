"""Random walks, against dense equations."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bfly.splitting.max_flow import Graph
from bfly.splitting.refusal import Reason, SplitRefused
from bfly.splitting.walks import walked


def at(*nodes: int) -> np.ndarray:
    return np.array(nodes, np.int64)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    count = draw(st.integers(2, 10))
    pairs = [(a, b) for b in range(count) for a in range(b)]
    chosen = draw(st.lists(st.sampled_from(pairs), min_size=1, unique=True))
    weights = draw(st.lists(st.integers(1, 1000), min_size=len(chosen), max_size=len(chosen)))
    a, b = np.array(chosen, np.int64).T
    return Graph(count, a, b, np.array(weights, np.float64))


@given(graphs())
def test_the_likelier_group_is_that_of_the_walk(graph: Graph) -> None:
    sides = walked(graph, at(0), at(1))
    plain = nx.Graph()
    plain.add_nodes_from(range(graph.nodes))
    rows = zip(graph.a.tolist(), graph.b.tolist(), graph.weights.tolist(), strict=True)
    plain.add_weighted_edges_from(rows)
    met = nx.node_connected_component(plain, 0) | nx.node_connected_component(plain, 1)
    assert set(np.flatnonzero(sides).tolist()) == met
    order = sorted(met)
    laplacian = nx.laplacian_matrix(plain.subgraph(order), order).toarray().astype(float)
    laplacian[order.index(0)] = np.eye(len(order))[order.index(0)]
    laplacian[order.index(1)] = np.eye(len(order))[order.index(1)]
    likely = np.linalg.solve(laplacian, np.eye(len(order))[order.index(0)])
    for node, one in zip(order, likely, strict=True):
        if abs(one - 0.5) > 1e-5:
            assert sides[node] == (1 if one > 0.5 else 2)


def test_nodes_of_a_group_remain_connected() -> None:
    # The way from 0 to 4 past the other group is weak, but it is the only one.
    graph = Graph(5, at(0, 1, 2, 1, 2, 3), at(1, 2, 3, 4, 4, 4), np.array([1, 1, 9, 1, 9, 9.0]))
    assert walked(graph, at(0, 3), at(4)).tolist() == [1, 1, 1, 1, 2]


def test_groups_that_cross_are_refused() -> None:
    graph = Graph(4, at(0, 1, 2), at(1, 2, 3), np.ones(3))
    with pytest.raises(SplitRefused) as refused:
        walked(graph, at(0, 2), at(1, 3))
    assert refused.value.reason is Reason.INSEPARABLE
