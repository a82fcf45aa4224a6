"""What the log says about a split, against plain networkx."""

from __future__ import annotations

from itertools import pairwise

import networkx as nx
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bfly.splitting.bonds import Bonds
from bfly.splitting.edges import Edges
from bfly.splitting.merge_tree import MergeTree, sums_across
from bfly.splitting.min_cut import SINK, SOURCE, Points, cut


def ids(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.uint64)


def contacts(*rows: tuple[int, int, float]) -> Edges:
    pairs = np.array([row[:2] for row in rows], np.uint64).reshape(-1, 2)
    weights = np.array([row[2] for row in rows], np.float64)
    return Edges(pairs, weights, weights)


def bonds(
    lists: list[list[int]], merges: list[tuple[int, int]], loose: tuple[int, ...] = ()
) -> Bonds:
    """Return lists, imported by the operation 1, merges 2, 3, …, and one of more than two."""
    members = ids(*sorted({one for each in [*lists, *merges, loose] for one in each}))
    pairs, last = [pair for each in lists for pair in pairwise(each)], [*pairwise(loose)]
    ends = np.searchsorted(members, np.array([*pairs, *merges, *last], np.uint64).reshape(-1, 2))
    numbers = [1] * len(pairs) + [2 + at for at in range(len(merges))] + [99] * len(last)
    made_by = np.array(numbers)
    return Bonds(members, ends, made_by, made_by == 1, made_by == 99)


def parted(
    whole: Bonds, near: Edges, sources: list[int], sinks: list[int], far: tuple[int, ...] = ()
) -> list[int] | None:
    """Return what goes with the sources if a merge is cut."""
    inside = np.setdiff1d(whole.members, ids(*far))
    side = whole.merge_cut(inside, near, ids(*sources), ids(*sinks))
    return None if side is None else whole.members[side].tolist()


def cut_sources(whole: Bonds, near: Edges, source: int, sink: int) -> list[int]:
    """Return what goes with a source in a cut between supervoxels."""
    points = (Points(ids(one), np.zeros((1, 3), np.int64)) for one in (source, sink))
    edges = whole.edges(whole.members, near, ids(source), ids(sink))
    found = cut(whole.members, edges, *points)
    assert set(found.sides.tolist()) == {SOURCE, SINK}
    return found.supervoxels[found.sides == SOURCE].tolist()


def test_a_merge_between_lists_is_cut_whatever_touches() -> None:
    whole = bonds([[1, 2, 3], [4, 5, 6]], [(1, 4)])
    near = contacts((3, 5, 1e9), (1, 2, 1.0), (4, 6, 1.0))
    assert parted(whole, near, [3], [5]) == [1, 2, 3]
    assert parted(whole, near, [5], [3]) == [4, 5, 6]


def test_of_several_merges_the_one_across_the_weakest_contacts_is_cut() -> None:
    whole = bonds([[1, 2], [3, 4], [5, 6]], [(2, 3), (4, 5)])
    strong, weak = contacts((1, 3, 100.0), (4, 6, 3.0), (4, 5, 3.0)), contacts((1, 3, 1.0))
    assert parted(whole, strong, [1], [6]) == [1, 2, 3, 4]
    assert parted(whole, contacts((1, 3, 3.0), (4, 6, 100.0)), [1], [6]) == [1, 2]
    # A contact that spans both merges decides nothing, and of equal merges the later one is cut.
    assert parted(whole, contacts((1, 6, 1e9)), [1], [6]) == [1, 2, 3, 4]
    assert parted(whole, weak, [1], [6]) == [1, 2, 3, 4]
    # Many weak contacts are not as much as one of a higher level.
    many = contacts(*[(2, 3, 10.0)] * 50, (4, 5, 100.0))
    assert parted(whole, many, [1], [6]) == [1, 2]


def test_merges_far_from_the_points_are_cut_only_if_no_other_is_between() -> None:
    whole = bonds([], [(1, 2), (2, 3), (3, 4)])
    near = contacts((1, 2, 8.0))
    assert parted(whole, near, [1], [4], far=(3,)) == [1]
    assert parted(whole, near, [1], [4], far=(2, 3)) == [1, 2, 3]


def test_points_of_a_group_keep_what_joins_them() -> None:
    whole = bonds([], [(1, 2), (2, 3), (3, 4)])
    near = contacts((1, 2, 1.0), (2, 3, 9.0), (3, 4, 99.0))
    assert parted(whole, near, [1, 3], [4]) == [1, 2, 3]
    assert parted(whole, near, [1, 4], [2]) is None
    assert parted(whole, near, [1, 4], [2, 3]) is None


def test_contacts_decide_within_a_list_with_points_of_both_groups() -> None:
    # 5 and 6 were merged to 1 and to 4, so they follow, though 5 touches 4 much more.
    whole = bonds([[1, 2, 3, 4]], [(1, 5), (4, 6)])
    near = contacts((1, 2, 9.0), (2, 3, 1.0), (3, 4, 9.0), (4, 5, 1e6))
    assert parted(whole, near, [1], [4]) is None
    assert cut_sources(whole, near, 1, 4) == [1, 2, 5]


def test_a_list_with_points_of_one_group_is_not_parted() -> None:
    # 7 and 8 touch nothing of their list, and 8 touches the other one.
    whole = bonds([[1, 2, 3, 4], [7, 8, 9]], [(1, 9)])
    near = contacts((1, 2, 9.0), (2, 3, 1.0), (3, 4, 9.0), (4, 8, 1e6), (1, 9, 0.0))
    assert cut_sources(whole, near, 1, 4) == [1, 2, 7, 8, 9]


def test_the_order_of_a_merge_of_more_than_two_says_nothing() -> None:
    # The lists are 1, 2 and 3, 4 and 5, 6; the merge names 5 between 1 and 3.
    whole = bonds([[1, 2], [3, 4], [5, 6]], [], loose=(1, 5, 3))
    near = contacts((1, 2, 1.0), (2, 3, 9.0), (3, 4, 1.0), (4, 5, 2.0), (5, 6, 1.0))
    assert parted(whole, near, [1], [5]) is None
    assert cut_sources(whole, near, 1, 5) == [1, 2, 3, 4]


def test_sides_spread_to_lists_that_are_on_one_side() -> None:
    whole = bonds([[1, 2, 3], [4, 5, 6]], [(3, 4)])
    sides, pairs = whole.spread(np.array([SOURCE, 0, SOURCE, SINK, SOURCE, 0]), ids(1), ids(4))
    assert sides.tolist() == [SOURCE, SOURCE, SOURCE, SINK, SOURCE, 0]
    assert pairs.tolist() == [[1, 2], [2, 3], [3, 4]]


def test_contacts_of_the_parts_of_a_supervoxel_decide() -> None:
    whole = bonds([], [(1, 2), (2, 3)]).divided(ids(2), ids(99))
    near = contacts((1, 2, 5.0), (2, 99, 1.0), (3, 99, 5.0))
    assert parted(whole, near, [2], [99]) is None
    assert cut_sources(whole, near, 2, 99) == [1, 2]


@st.composite
def trees(draw: st.DrawFn) -> list[tuple[int, int]]:
    count = draw(st.integers(2, 12))
    return [(draw(st.integers(0, node - 1)), node) for node in range(1, count)]


@given(trees(), st.data())
def test_ways_and_positions_are_those_of_networkx(
    rows: list[tuple[int, int]], data: st.DataObject
) -> None:
    count = len(rows) + 1
    node = st.integers(0, count - 1)
    start, stop = data.draw(st.tuples(node, node).filter(lambda pair: pair[0] != pair[1]))
    tree = MergeTree(count, np.array(rows), np.arange(1, count))
    way = tree.way(np.array([start]), np.array([stop]))
    graph = nx.Graph(rows)
    assert way is not None
    assert way.tolist() == nx.shortest_path(graph, start, stop)
    made_by = {frozenset(pair): number for number, pair in enumerate(rows, 1)}
    steps = [frozenset(step) for step in pairwise(way.tolist())]
    assert tree.merges(way).tolist() == [made_by[step] for step in steps]
    graph.remove_edges_from(tuple(step) for step in steps)
    position = tree.positions(way)
    for place, middle in enumerate(way.tolist()):
        hanging = nx.node_connected_component(graph, middle)
        assert np.flatnonzero(position == place).tolist() == sorted(hanging)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(1, 64)), min_size=1))
def test_sums_are_those_of_the_contacts_across_each_step(rows: list[tuple[int, int, int]]) -> None:
    spans, weights = np.array([row[:2] for row in rows]), np.array([row[2] for row in rows], float)
    sums = sums_across(5, spans, weights)
    levels = sorted({int(weight).bit_length() for weight in weights})
    for level, row in zip(levels, sums, strict=True):
        for step in range(5):
            expected = [
                weight
                for a, b, weight in rows
                if weight.bit_length() == level and min(a, b) <= step < max(a, b)
            ]
            assert row[step] == sum(expected)
