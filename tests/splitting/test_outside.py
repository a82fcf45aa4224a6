"""Supervoxels outside the box go to one side each."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bfly.splitting.outside import Links, assigned


def links(*rows: tuple[int, int, float]) -> Links:
    pairs = np.array([end for row in rows for end in row[:2]], np.uint64).reshape(-1, 2)
    return Links(pairs, np.array([row[2] for row in rows], np.float64))


def run(
    sides: dict[int, int], merges: Links, near: Links, sizes: dict[int, int] | None = None
) -> tuple[dict[int, int], list[int]]:
    supervoxels = np.array(sorted(sides), np.uint64)
    given_sizes = np.array([(sizes or {}).get(each, 1) for each in sorted(sides)])
    given_sides = np.array([sides[each] for each in sorted(sides)])
    result = assigned(supervoxels, given_sizes, given_sides, merges, near)
    return (
        dict(zip(supervoxels.tolist(), result.sides.tolist(), strict=True)),
        supervoxels[result.unreached].tolist(),
    )


def test_merge_edges_lead_before_shorter_links() -> None:
    found, _ = run(
        {1: 1, 2: 2, 3: 0, 4: 0},
        links((1, 3, 900.0), (3, 4, 900.0)),
        links((4, 2, 0.0), (2, 99, 0.0)),
    )
    assert found == {1: 1, 2: 2, 3: 1, 4: 1}


def test_the_nearer_side_gets_what_only_links_reach() -> None:
    found, unreached = run({1: 1, 2: 2, 3: 0}, links(), links((1, 3, 30.0), (3, 2, 20.0)))
    assert found == {1: 1, 2: 2, 3: 2}
    assert not unreached


def test_what_no_link_reaches_stays_with_the_larger_side() -> None:
    sizes = {1: 10, 2: 6, 3: 6}
    found, unreached = run(
        {1: 1, 2: 2, 3: 0, 8: 0, 9: 0}, links((2, 3, 1)), links((8, 9, 1)), sizes
    )
    assert found == {1: 1, 2: 2, 3: 2, 8: 2, 9: 2}
    assert unreached == [8, 9]


def test_a_side_is_needed() -> None:
    with pytest.raises(ValueError, match="None of the supervoxels has a side"):
        run({1: 0}, links(), links())


@given(
    st.lists(st.tuples(*[st.integers(1, 9)] * 2, st.integers(0, 5)), max_size=20),
    st.lists(st.tuples(*[st.integers(1, 9)] * 2, st.integers(0, 5)), max_size=20),
)
def test_each_is_on_the_side_of_a_nearest_one(
    merges: list[tuple[int, int, float]], near: list[tuple[int, int, float]]
) -> None:
    sides = {1: 1, 2: 2, 3: 2, **dict.fromkeys(range(4, 10), 0)}
    found, unreached = run(sides, links(*merges), links(*near))
    graph = nx.Graph()
    graph.add_nodes_from(sides)
    for rows, unit in ((near, 1000.0), (merges, 1.0)):
        longest = max((row[2] for row in rows), default=0) or 1
        for a, b, length in sorted(rows, key=lambda row: -row[2]):
            if not (sides[a] and sides[b]):
                graph.add_edge(a, b, length=unit * (1 + length / longest))
    for supervoxel in range(4, 10):
        distances = {
            start: nx.shortest_path_length(graph, start, supervoxel, "length")
            for start in (1, 2, 3)
            if nx.has_path(graph, start, supervoxel)
        }
        assert (supervoxel in unreached) == (not distances)
        if distances:
            best = min(distances.values())
            nearest = {sides[s] for s, d in distances.items() if d == pytest.approx(best)}
            assert found[supervoxel] in nearest
