"""Cuts between supervoxels against networkx, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bfly.errors import BadRequest
from bfly.splitting.edges import Edges, merge_edges
from bfly.splitting.levels import separated
from bfly.splitting.max_flow import TOTAL, Graph, source_side
from bfly.splitting.min_cut import OTHERS, SINK, SOURCE, Cut, Points, cut
from bfly.splitting.refusal import Reason, SplitRefused

if TYPE_CHECKING:
    from random import Random


@st.composite
def graphs(draw: st.DrawFn, weights: st.SearchStrategy[float]) -> Graph:
    count = draw(st.integers(2, 12))
    pairs = [(a, b) for b in range(count) for a in range(b)]
    chosen = draw(st.lists(st.sampled_from(pairs), min_size=1, unique=True))
    drawn = draw(st.lists(weights, min_size=len(chosen), max_size=len(chosen)))
    a, b = np.array(chosen, np.int64).T
    return Graph(count, a, b, np.array(drawn, np.float64))


def as_networkx(graph: Graph, capacities: list[int]) -> nx.Graph:
    result = nx.Graph()
    result.add_nodes_from(range(graph.nodes))
    for a, b, capacity in zip(graph.a.tolist(), graph.b.tolist(), capacities, strict=True):
        result.add_edge(a, b, capacity=capacity)
    return result


def cost(graph: Graph, side: np.ndarray, capacities: list[int]) -> int:
    return sum(
        capacity
        for a, b, capacity in zip(graph.a, graph.b, capacities, strict=True)
        if side[a] != side[b]
    )


@given(graphs(st.integers(1, 1000).map(float)))
def test_a_cut_costs_what_that_of_networkx_costs(graph: Graph) -> None:
    scale = (TOTAL - len(graph.a)) / graph.weights.sum()
    capacities = [1 + int(weight * scale) for weight in graph.weights]
    side = source_side(graph, 0, 1)
    assert side[0]
    assert not side[1]
    expected, _ = nx.minimum_cut(as_networkx(graph, capacities), 0, 1)
    assert cost(graph, side, capacities) == expected


@given(graphs(st.just(1.0)), st.randoms(use_true_random=False))
def test_no_number_of_weak_edges_outweighs_a_strong_one(graph: Graph, random: Random) -> None:
    exponents = list(range(len(graph.a)))
    random.shuffle(exponents)
    # Each weight is more than all lower ones together, so sums compare as levels do.
    capacities = [1 << exponent for exponent in exponents]
    reference = as_networkx(graph, capacities)
    side = separated(graph._replace(weights=np.array(capacities, np.float64)), 0, 1)
    expected, _ = nx.minimum_cut(reference, 0, 1)
    assert cost(graph, side, capacities) == expected


def test_a_neck_holds_against_a_membrane() -> None:
    # A neuron of parts 0 and 1 with a neck of 8, whose part 1 touches six parts of another one.
    necks = [(0, 1, 8.0), *((part, part + 1, 8.0) for part in range(2, 7))]
    membrane = [(1, part, 3.0) for part in range(2, 8)]
    a, b, weights = (np.array(column) for column in zip(*necks, *membrane, strict=True))
    graph = Graph(8, a, b, weights)
    assert np.flatnonzero(source_side(graph, 0, 7)).tolist() == [0]
    assert np.flatnonzero(separated(graph, 0, 7)).tolist() == [0, 1]


@given(graphs(st.floats(1.0, 1.99)))
def test_one_level_is_a_minimum_cut(graph: Graph) -> None:
    connected = nx.has_path(as_networkx(graph, [1] * len(graph.a)), 0, 1)
    if connected:
        inside = sorted(nx.node_connected_component(as_networkx(graph, [1] * len(graph.a)), 0))
        assert (separated(graph, 0, 1)[inside] == source_side(graph, 0, 1)[inside]).all()


def ids(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.uint64)


def points(*supervoxels: int) -> Points:
    return Points(ids(*supervoxels), np.arange(3 * len(supervoxels)).reshape(-1, 3))


def edges(*rows: tuple[int, int, float]) -> Edges:
    pairs = ids(*(end for row in rows for end in row[:2])).reshape(-1, 2)
    weights = np.array([row[2] for row in rows], np.float64)
    return Edges(pairs, weights, 10 * weights)


def sides(result: Cut) -> dict[int, int]:
    return dict(zip(result.supervoxels.tolist(), result.sides.tolist(), strict=True))


def test_a_segment_falls_apart_at_its_weakest_edge() -> None:
    result = cut(
        ids(3, 5, 7, 9),
        edges((3, 5, 8), (7, 9, 8), (5, 7, 1), (9, 11, 4)),
        points(3),
        points(9),
    )
    assert sides(result) == {3: SOURCE, 5: SOURCE, 7: SINK, 9: SINK}
    assert result.is_cut.tolist() == [False, False, True, False]
    assert result.area == 10


def test_pieces_that_hang_on_nothing_are_numbered() -> None:
    result = cut(
        ids(1, 2, 3, 4, 5, 6),
        edges((1, 2, 1), (1, 3, 5), (5, 6, 2)),
        points(1),
        points(2),
    )
    assert sides(result) == {1: SOURCE, 3: SOURCE, 2: SINK, 4: OTHERS, 5: OTHERS + 1, 6: OTHERS + 1}


def test_an_edge_of_a_merge_is_cut_first() -> None:
    contacts = edges((1, 2, 3), (3, 4, 3), (2, 5, 1e-9), (5, 1, 1e-9))
    merges = merge_edges(ids(2, 3).reshape(1, 2))
    result = cut(ids(1, 2, 3, 4, 5), contacts.plus(merges), points(1), points(4))
    assert sides(result) == {1: SOURCE, 2: SOURCE, 5: SOURCE, 3: SINK, 4: SINK}
    assert result.is_cut.tolist() == [False] * 4 + [True]
    assert result.area == 0


def test_a_path_keeps_the_points_of_a_group_together() -> None:
    # 1 and 3 are held together by weak edges over 2, which is strongly tied to the other group.
    rows = [(1, 2, 1.0), (2, 3, 1.0), (2, 4, 9.0), (1, 5, 9.0), (3, 6, 9.0), (4, 7, 9.0)]
    assert sides(cut(ids(1, 2, 3, 4, 5, 6, 7), edges(*rows), points(1, 3), points(4))) == {
        **dict.fromkeys((1, 2, 3, 5, 6), SOURCE),
        **dict.fromkeys((4, 7), SINK),
    }


def test_paths_that_cross_go_around_each_other() -> None:
    # The shortest ways 1-0-2 and 3-0-4 cross in 0; 3-8-4 is a longer way.
    rows = [(1, 9, 5), (9, 2, 5), (3, 9, 5), (9, 4, 5), (3, 8, 1), (8, 4, 1)]
    result = sides(cut(ids(1, 2, 3, 4, 8, 9), edges(*rows), points(1, 2), points(3, 4)))
    assert (result[9], result[8]) == (SOURCE, SINK)
    result = sides(cut(ids(1, 2, 3, 4, 8, 9), edges(*rows), points(3, 4), points(1, 2)))
    assert (result[9], result[8]) == (SINK, SOURCE)


def test_points_in_components_of_the_box_are_one_group() -> None:
    result = cut(ids(1, 2, 3, 4), edges((1, 2, 1), (3, 4, 1)), points(1, 3), points(2))
    assert sides(result) == {1: SOURCE, 2: SINK, 3: SOURCE, 4: SOURCE}


@pytest.mark.parametrize(
    ("reason", "sources", "sinks", "words"),
    [
        (Reason.NO_POINTS, (), (1,), "no points"),
        (Reason.NOT_ON_SEGMENT, (1,), (2, 77), "x 5, y 4, z 3 is on supervoxel 77"),
        (Reason.SAME_SUPERVOXEL, (1, 2), (2,), r"the same supervoxel \(2\)"),
        (Reason.APART, (1,), (8,), "nothing to cut"),
        (Reason.INSEPARABLE, (1, 3), (2,), "cannot be told apart"),
        (Reason.ONLY_POINTS, (4,), (1,), "Only the supervoxels with points"),
    ],
)
def test_refusals_say_what_to_do(
    reason: Reason, sources: tuple[int, ...], sinks: tuple[int, ...], words: str
) -> None:
    held = edges((1, 2, 4), (2, 3, 4), (3, 4, 1), (8, 9, 1))
    with pytest.raises(SplitRefused, match=words) as refused:
        cut(ids(1, 2, 3, 4, 8, 9), held, points(*sources), points(*sinks))
    assert refused.value.reason is reason
    assert refused.value.supervoxels == ((2,) if reason is Reason.SAME_SUPERVOXEL else ())
    assert isinstance(refused.value, BadRequest)


def test_a_point_whose_only_neighbour_is_the_other_point_is_cut_off() -> None:
    result = cut(ids(1, 2, 3), edges((1, 2, 4), (2, 3, 4)), points(1), points(2))
    assert sides(result) == {1: SOURCE, 2: SINK, 3: SINK}


@given(st.permutations(range(8)))
def test_the_order_of_edges_does_not_matter(order: list[int]) -> None:
    rows = [
        (1, 2, 5),
        (2, 3, 3),
        (3, 4, 3),
        (4, 5, 5),
        (1, 6, 3),
        (6, 5, 3),
        (2, 6, 4.5),
        (4, 6, 5),
    ]
    first = cut(ids(1, 2, 3, 4, 5, 6), edges(*rows), points(1), points(5))
    turned = [rows[at][:2][::-1] + rows[at][2:] for at in order]
    again = cut(ids(1, 2, 3, 4, 5, 6), edges(*turned), points(1), points(5))
    assert sides(first) == sides(again)
    assert first.area == again.area
