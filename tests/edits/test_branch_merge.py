"""Merging branches, against unions of sets, and the differences of states."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from itertools import combinations
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from bfly.edits.branch_merge import OURS, THEIRS, BranchMerge
from bfly.edits.channel_lines import Found
from bfly.edits.diff import differences
from bfly.edits.edits import Edits
from bfly.edits.log import MemoryLog
from bfly.edits.patch import Fresh
from bfly.errors import Conflict
from tests.edits.test_branches import EVERYTHING, FRESH, MOST, PATH, ids, merge, part, redo, undo


@pytest.fixture
def edits() -> Edits:
    return Edits(MemoryLog())


def sets(found: Found) -> set[frozenset[int]]:
    names = found.state.segments(EVERYTHING).tolist()
    return {
        frozenset(n for n, name in zip(EVERYTHING.tolist(), names, strict=True) if name == each)
        for each in names
    }


def planned(edits: Edits, source: str, target: str = "", **choices: str) -> BranchMerge:
    numbers = {int(number.strip("_")): choice for number, choice in choices.items()}
    return BranchMerge(
        edits.found(PATH, source),
        edits.found(PATH, target),
        FRESH,
        numbers,
        partial(Fresh, FRESH, 2**31),
    )


def do(edits: Edits, source: str, target: str = "", **choices: str) -> list[int]:
    """Merge a branch; return the operations."""
    plan = planned(edits, source, target, **choices)
    assert not plan.contradictions
    edits.found(PATH, target).writable.append(lambda _: plan.operations)
    return [each.id for each in plan.operations]


def branched(edits: Edits, name: str = "try", of: str = "") -> Any:
    edits.lines(PATH).add("branch", name, of, "Ada")
    return edits.found(PATH, name).edits


PAIRS = st.lists(st.lists(st.integers(1, MOST), min_size=2, max_size=3, unique=True), max_size=6)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(PAIRS, PAIRS, PAIRS)
def test_merges_of_both_sides_are_united(before: Any, ours: Any, theirs: Any) -> None:
    edits, graph = Edits(MemoryLog()), nx.Graph()
    graph.add_nodes_from(EVERYTHING.tolist())
    for members in (*before, *ours, *theirs):
        nx.add_path(graph, members)
    for members in before:
        merge(edits.channel(PATH), *members)
    branch = branched(edits)
    for members in ours:
        merge(edits.channel(PATH), *members)
    for members in theirs:
        merge(branch, *members)
    start = sets(edits.found(PATH))
    done = do(edits, "try")
    assert sets(edits.found(PATH)) == set(map(frozenset, nx.connected_components(graph)))
    taken_back(edits, done, start)


def taken_back(edits: Edits, done: list[int], start: set[frozenset[int]]) -> None:
    """Take back a merge of a branch, unless it changed nothing in the end."""
    if done and sets(edits.found(PATH)) != start:
        undo(edits.channel(PATH), *done)
    assert sets(edits.found(PATH)) == start


def act(data: st.DataObject, edits: Edits, name: str) -> None:
    found = edits.found(PATH, name)
    large = sorted(sorted(each) for each in sets(found) if len(each) > 1)
    kind = data.draw(st.sampled_from(["merge", "merge", "part", "undo", "redo"]))
    if kind == "merge":
        members = st.lists(st.integers(1, MOST), min_size=2, max_size=3, unique=True)
        merge(found.edits, *data.draw(members))
    elif kind == "part" and large:
        members = data.draw(st.sampled_from(large))
        count = data.draw(st.integers(1, len(members) - 1))
        part(found.edits, *sorted(data.draw(st.permutations(members))[:count]))
    elif found.state.position:
        number = data.draw(st.integers(1, found.state.position))
        with suppress(Conflict):
            (undo if kind == "undo" else redo)(found.edits, number)


@settings(derandomize=True, deadline=None, max_examples=40, phases=[Phase.explicit, Phase.generate])
@given(data=st.data())
def test_a_branch_that_alone_went_on_is_what_the_merge_makes(data: st.DataObject) -> None:
    """Merges, splits, undo and redo, on the branch alone: no conflict, and the same segments."""
    edits = Edits(MemoryLog())
    for _ in range(data.draw(st.integers(0, 6))):
        act(data, edits, "")
    branched(edits)
    start = sets(edits.found(PATH))
    for _ in range(data.draw(st.integers(1, 8))):
        act(data, edits, "try")
    done = do(edits, "try")
    assert sets(edits.found(PATH)) == sets(edits.found(PATH, "try"))
    assert do(edits, "try") == []
    taken_back(edits, done, start)


@settings(derandomize=True, deadline=None, max_examples=40, phases=[Phase.explicit, Phase.generate])
@given(data=st.data())
def test_a_branch_is_merged_again_and_again(data: st.DataObject) -> None:
    """Only what is new is done, and taken back if the branch took it back since."""
    edits = Edits(MemoryLog())
    for _ in range(data.draw(st.integers(0, 4))):
        act(data, edits, "")
    branched(edits)
    for _ in range(data.draw(st.integers(2, 4))):
        for _ in range(data.draw(st.integers(1, 4))):
            act(data, edits, "try")
        do(edits, "try")
        assert sets(edits.found(PATH)) == sets(edits.found(PATH, "try"))
        assert do(edits, "try") == []
        # Nothing of it comes back to the branch, either.
        assert do(edits, "main", "try") == []


@settings(derandomize=True, deadline=None, max_examples=40, phases=[Phase.explicit, Phase.generate])
@given(data=st.data())
def test_conflicts_are_resolved_by_choices(data: st.DataObject) -> None:
    """Whatever both sides did: with a choice for each conflict, a merge can be done and undone."""
    edits = Edits(MemoryLog())
    for _ in range(data.draw(st.integers(0, 6))):
        act(data, edits, "")
    branched(edits)
    for _ in range(data.draw(st.integers(1, 8))):
        act(data, edits, data.draw(st.sampled_from(["", "try"])))
    start = sets(edits.found(PATH))
    choices: dict[str, str] = {}
    while (plan := planned(edits, "try", **choices)).contradictions:
        for each in plan.contradictions:
            wanted = data.draw(st.sampled_from([OURS, THEIRS])) if each.can_win else OURS
            assert f"_{each.operation.id}" not in choices
            choices[f"_{each.operation.id}"] = wanted
            last = edits.channel(PATH).state.position
            assert all(1 <= number <= last for number in each.others)
    done = do(edits, "try", **choices)
    ours = {number.strip("_") for number, choice in choices.items() if choice == OURS}
    assert {str(number) for number in plan.left_out} == ours
    taken_back(edits, done, start)


def test_what_was_joined_to_a_part_since_stays_with_it(edits: Edits) -> None:
    merge(edits.channel(PATH), 1, 2, 3, 4)
    branch = branched(edits)
    part(branch, 3, 4)
    merge(edits.channel(PATH), 4, 5)
    merge(edits.channel(PATH), 1, 6)
    do(edits, "try")
    assert frozenset({3, 4, 5}) in sets(edits.found(PATH))
    assert frozenset({1, 2, 6}) in sets(edits.found(PATH))


def test_parts_of_both_sides_are_parts_of_parts(edits: Edits) -> None:
    merge(edits.channel(PATH), 1, 2, 3, 4)
    branch = branched(edits)
    part(branch, 1, 2)
    part(edits.channel(PATH), 1)
    do(edits, "try")
    assert {frozenset({1}), frozenset({2}), frozenset({3, 4})} <= sets(edits.found(PATH))


def test_a_split_that_others_bridged_since_is_a_conflict(edits: Edits) -> None:
    """Another segment was joined to both parts: it stays with one if the branch counts."""
    channel = edits.channel(PATH)
    merge(channel, 1, 2, 3, 4)
    merge(channel, 5, 6)
    branch = branched(edits)
    part(branch, 3, 4)
    merge(channel, 4, 5)
    part(channel, 1)
    merge(channel, 1, 6)
    (found,) = planned(edits, "try").contradictions
    assert found.operation.id == 3
    assert found.others
    assert set(found.others) <= {3, 5}
    assert "which were joined since" in found.reason
    assert do(edits, "try", _3=OURS) == []
    do(edits, "try", _3=THEIRS)
    names = edits.found(PATH).state.segments(ids([3, 4, 1, 2])).tolist()
    assert names[0] == names[1]
    assert not {names[0]} & {names[2], names[3]}


def test_an_undo_that_is_no_longer_possible_is_a_conflict(edits: Edits) -> None:
    channel = edits.channel(PATH)
    merge(channel, 1, 2)
    branch = branched(edits)
    undo(branch, 1)
    part(channel, 1)
    (found,) = planned(edits, "try").contradictions
    assert found.others == (2,)
    assert not found.can_win
    assert planned(edits, "try", _2=THEIRS).contradictions
    assert do(edits, "try", _2=OURS) == []


def test_what_a_branch_does_again_comes_before_what_followed_it(edits: Edits) -> None:
    """The split of 7 is merged while that of 5 is taken back, which is done again later."""
    merge(edits.channel(PATH), 7, 5, 1)
    branch = branched(edits)
    merge(branch, 7, 8)
    part(branch, 5)
    part(branch, 1, 8)
    undo(branch, 3)
    merge(branch, 4, 5)
    do(edits, "try")
    undo(branch, 5)
    assert frozenset({1, 8}) in sets(edits.found(PATH, "try"))
    do(edits, "try")
    assert sets(edits.found(PATH)) == sets(edits.found(PATH, "try"))
    assert do(edits, "try") == []


def test_what_others_parted_since_is_not_joined_again_with_what_is_done_again(edits: Edits) -> None:
    merge(edits.channel(PATH), 1, 2)
    branch = branched(edits)
    part(branch, 1)
    undo(branch, 2)
    merge(branch, 3, 4)
    do(edits, "try")
    part(edits.channel(PATH), 3)
    redo(branch, 2)
    do(edits, "try")
    assert {frozenset({n}) for n in (1, 2, 3, 4)} <= sets(edits.found(PATH))


def test_the_channel_is_merged_into_a_branch(edits: Edits) -> None:
    channel = edits.channel(PATH)
    merge(channel, 1, 2)
    branch = branched(edits)
    merge(branch, 3, 4)
    merge(channel, 5, 6)
    undo(channel, 1)
    assert do(edits, "main", "try") == [3, 4]
    assert sets(edits.found(PATH, "try")) >= {frozenset({3, 4}), frozenset({5, 6}), frozenset({1})}
    other = branched(edits, "other", "try@2")
    merge(other, 7, 8)
    do(edits, "other")
    assert frozenset({7, 8}) in sets(edits.found(PATH))
    assert frozenset({3, 4}) in sets(edits.found(PATH))


@settings(derandomize=True, deadline=None, max_examples=40, phases=[Phase.explicit, Phase.generate])
@given(data=st.data())
def test_differences_are_those_of_the_segments(data: st.DataObject) -> None:
    edits = Edits(MemoryLog())
    names = [""]
    for step in range(data.draw(st.integers(1, 14))):
        name = data.draw(st.sampled_from(names))
        if len(names) < 4 and data.draw(st.booleans()):
            names.append(f"b{step}")
            branched(edits, names[-1], name)
        else:
            act(data, edits, name)
    for first, second in combinations([each or "main" for each in names], 2):
        one, other = edits.found(PATH, first), edits.found(PATH, f"{second}@0")
        for two in (edits.found(PATH, second), other):
            found = differences(one, two)
            before, after = (s.state.segments(EVERYTHING) for s in (one, two))
            wrong = {frozenset(d.supervoxels.tolist()) for d in found}
            graph = nx.Graph()
            graph.add_nodes_from(EVERYTHING.tolist())
            for a, b in combinations(EVERYTHING.tolist(), 2):
                if before[a - 1] == before[b - 1] or after[a - 1] == after[b - 1]:
                    graph.add_edge(a, b)
            groups = map(frozenset, nx.connected_components(graph))
            assert wrong == {g for g in groups if any(before[n - 1] != after[n - 1] for n in g)}
            for each in found:
                places = each.supervoxels.astype(int) - 1
                assert np.array_equal(each.before, before[places])
                assert np.array_equal(each.after, after[places])
