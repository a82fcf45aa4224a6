"""Segments against the connected components of networkx and plain sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bfly.edits.components import components
from bfly.edits.direct_table import DirectTable
from bfly.edits.forest import Forest
from bfly.edits.id_table import REBUILT, IdTable, IdTables

if TYPE_CHECKING:
    from numpy.typing import NDArray


def ids(*numbers: int) -> NDArray[np.uint64]:
    return np.array(numbers, np.uint64)


def join(forest: Forest, lists: list[list[int]], at: int) -> None:
    flat = ids(*(number for members in lists for number in members))
    names = ids(*(members[0] for members in lists))
    forest.join(flat, [len(members) for members in lists], names, at)


def partition(numbers: NDArray[np.uint64], segments: NDArray[np.uint64]) -> set[frozenset[int]]:
    groups: dict[int, set[int]] = {}
    for number, segment in zip(numbers.tolist(), segments.tolist(), strict=True):
        groups.setdefault(segment, set()).add(number)
    return set(map(frozenset, groups.values()))


def now(forest: Forest, numbers: NDArray[np.uint64], at: int) -> NDArray[np.uint64]:
    return forest.segments(numbers, at, forest.count)


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_random_merges_in_any_order_and_twice_over(batch: int) -> None:
    random = np.random.default_rng(batch)
    numbers = np.unique(random.integers(0, 2**64, 1600, np.uint64))[:1500]
    merges = [
        numbers[random.integers(0, 1500, size)].tolist() for size in random.integers(2, 5, 1000)
    ]
    graph = nx.Graph()
    graph.add_nodes_from(numbers.tolist())
    for members in merges:
        nx.add_path(graph, members)
    expected = set(map(frozenset, nx.connected_components(graph)))
    for order in (merges, merges[::-1], [merges[i] for i in random.permutation(1000)]):
        forest, at = Forest(), 0
        for twice in (order, order[::-1]):
            for start in range(0, 1000, batch):
                at += 1
                join(forest, twice[start : start + batch], at)
            assert partition(numbers, now(forest, numbers, at)) == expected
        for segment in filter(lambda segment: len(segment) > 1, expected):
            some = ids(min(segment))
            root = int(forest.roots(forest.find(some, forest.count), at)[0])
            assert set(forest.members(root, at).tolist()) == segment


def test_a_segment_has_the_name_of_the_list_that_made_it() -> None:
    forest = Forest()
    join(forest, [[1, 2], [3, 4, 5], [6]], 1)
    assert now(forest, ids(1, 2, 3, 4, 5, 6, 7), 1).tolist() == [1, 1, 3, 3, 3, 6, 7]
    join(forest, [[2, 1]], 2)
    join(forest, [[7, 4]], 3)
    join(forest, [[8, 9], [9, 10], [10, 8]], 4)
    assert now(forest, ids(1, 2, 3, 4, 5, 7, 8, 9, 10), 4).tolist() == [
        2,
        2,
        7,
        7,
        7,
        7,
        10,
        10,
        10,
    ]


def test_a_name_may_be_that_of_a_supervoxel_elsewhere_or_of_none() -> None:
    forest = Forest()
    forest.join(ids(1, 2, 3, 4), [2, 2], ids(3, 99), 1)
    assert now(forest, ids(1, 2, 3, 4), 1).tolist() == [3, 3, 99, 99]
    holders = forest.holders(ids(3, 99, 1, 5), 1, forest.count)
    assert (holders < 0).tolist() == [False, False, True, True]
    assert set(forest.members(int(holders[0]), 1).tolist()) == {1, 2}
    assert set(forest.members(int(holders[1]), 1).tolist()) == {3, 4}
    # The supervoxel 99 comes later, and is not the segment of that name.
    join(forest, [[99, 100]], 2)
    forest.join(ids(1, 3), [2], ids(7), 3)
    assert now(forest, ids(1, 2, 3, 4, 99, 100), 3).tolist() == [7, 7, 7, 7, 99, 99]
    table = dict(np.transpose(forest.table(3, forest.count)).tolist())
    assert table == {1: 7, 2: 7, 3: 7, 4: 7, 99: 99, 100: 99}


@given(st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=4), min_size=1, max_size=25))
def test_each_state_stays_as_it_was(merges: list[list[int]]) -> None:
    forest, names = Forest(), {number: number for number in range(31)}
    everything, states = np.arange(31, dtype=np.uint64), []
    for at, members in enumerate(merges, 1):
        join(forest, [members], at)
        merged = {names[number] for number in members}
        names = {n: members[0] if name in merged else name for n, name in names.items()}
        states.append((at, forest.count, list(names.values())))
    for at, count, expected in states:
        assert forest.segments(everything, at, count).tolist() == expected


def test_the_state_before_the_first_merge_is_asked_after_it() -> None:
    forest = Forest()
    join(forest, [[1, 2]], 1)
    assert forest.segments(ids(1, 2, 3), 0, 0).tolist() == [1, 2, 3]


def test_all_at_once_is_as_one_by_one() -> None:
    random = np.random.default_rng(3)
    merges = [random.integers(0, 400, 3).tolist() for _ in range(150)]
    slow, fast = Forest(), Forest()
    for at, members in enumerate(merges, 1):
        join(slow, [members], at)
    join(fast, merges, 150)
    numbers = np.arange(400, dtype=np.uint64)
    assert np.array_equal(now(slow, numbers, 150), now(fast, numbers, 150))


def test_more_supervoxels_than_one_table_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert REBUILT > 10_000
    monkeypatch.setattr("bfly.edits.id_table.REBUILT", 2000)
    numbers = np.random.default_rng(4).integers(1, 2**64, 20_000, np.uint64)
    forest = Forest()
    for at, start in enumerate(range(0, 20_000, 500), 1):
        part = numbers[start : start + 500]
        forest.join(part, np.full(250, 2), part[::2], at)
    assert len(forest._tables._tables) > 2
    assert np.array_equal(now(forest, numbers, at), np.repeat(numbers[::2], 2))
    assert now(forest, ids(0, 5), at).tolist() == [0, 5]


def test_ids_that_want_the_same_slots() -> None:
    random = np.random.default_rng(5)
    for numbers in (np.arange(5000), np.arange(5000) << 50, random.integers(0, 2**63, 5000)):
        known = random.permutation(np.unique(numbers.astype(np.uint64)))
        table = IdTable(len(known))
        for start in range(0, len(known), 700):
            part = known[start : start + 700]
            table.add(part, np.arange(start, start + len(part)))
        assert np.array_equal(table.find(known, known), np.arange(len(known)))
        assert (
            table.find(known + np.uint64(1) << np.uint64(1) | np.uint64(2**63), known) < 0
        ).all()
        assert (table.find(known, known[:1000])[:1000] == np.arange(1000)).all()
        assert (table.find(known, known[:1000])[1000:] == -1).all()


@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=40))
def test_components(edges: list[tuple[int, int]]) -> None:
    graph = nx.Graph(edges)
    graph.add_nodes_from(range(20))
    a, b = np.array(edges, np.int64).reshape(-1, 2).T
    label = components(20, a, b)
    assert (label[label] == label).all()
    expected = set(map(frozenset, nx.connected_components(graph)))
    assert partition(np.arange(20, dtype=np.uint64), label.astype(np.uint64)) == expected


@pytest.mark.parametrize("spread", [1, 3, 50])
@pytest.mark.parametrize("lowest", [0, 2**33, 2**63 - 2000])
def test_ids_are_found_however_dense_they_are(spread: int, lowest: int) -> None:
    random = np.random.default_rng(spread)
    known = random.permutation(np.arange(6000, dtype=np.uint64) * spread + lowest)
    known = np.append(known, ids(2**64 - 1, lowest + 10**7))
    tables = IdTables()
    stops = [1, 1500, 1501, 4000, 5990, 6000, 6002]
    for start, stop in zip([0, *stops], stops, strict=False):
        tables.add(known[start:stop], np.arange(start, stop), known)
        found = np.where(np.arange(len(known)) < stop, np.arange(len(known)), -1)
        assert np.array_equal(tables.find(known, known), found)
        before = tables.find(known, known[: stop // 2])
        assert np.array_equal(before, np.where(found < stop // 2, found, -1))
        others = np.setdiff1d(ids(1, 2, 2**40, 2**63, 2**64 - 2, lowest + 3001), known)
        assert (tables.find(others, known) == -1).all()
    is_direct = any(isinstance(table, DirectTable) for table in tables._tables)
    # Of ids that fill a third of their range it depends on when the tables grew.
    assert spread == 3 or is_direct == (spread == 1)


@given(st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=6), min_size=1, max_size=9))
def test_a_loaded_state_is_like_the_one_it_comes_from(lists: list[list[int]]) -> None:
    forest, loaded = Forest(), Forest()
    for at, members in enumerate(lists, 1):
        join(forest, [members], at)
    last = len(lists)
    members, names = forest.table(last, forest.count)
    numbers = forest.numbers_of(forest.roots(forest.find(members, forest.count), last), last)
    order = np.argsort(numbers, kind="stable")
    members, names, numbers = members[order], names[order], numbers[order]
    _, starts, sizes = np.unique(numbers, return_index=True, return_counts=True)
    loaded.load(members, sizes, names[starts], numbers[starts], last)
    loaded.numbers = forest.numbers
    every = ids(*range(1, 31))
    for at in (last, last + 1):
        for each in (forest, loaded):
            if at > last:
                join(each, [[1, 2], [29, 30]], at)
        assert np.array_equal(now(forest, every, at), now(loaded, every, at))
        for one in every[forest.find(every, forest.count) >= 0]:
            ends = [
                (each, int(each.roots(each.find(ids(one), each.count), at)[0]))
                for each in (forest, loaded)
            ]
            first, second = (set(each.members(root, at).tolist()) for each, root in ends)
            assert first == second
            assert len({int(each.numbers_of(np.array([root]), at)[0]) for each, root in ends}) == 1
