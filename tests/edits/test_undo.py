"""Merges, splits and what takes them back, against a graph of networkx."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from bfly.databases.sqlite import Sqlite
from bfly.edits.channel import ChannelEdits
from bfly.edits.cut import cut
from bfly.edits.log import MemoryLog
from bfly.edits.merge_table import added
from bfly.edits.message import Save
from bfly.edits.undo import redone, undone
from bfly.errors import BadRequest, Conflict
from bfly.keywords import RUNTIME
from tests.fixtures.edit_model import Model, step_of

MOST = 16
FRESH = 1000


def ids(numbers: Any) -> Any:
    return np.array(list(numbers), np.uint64)


class Channel(ChannelEdits):
    """A channel with short words for its operations."""

    def merge(self, *members: int) -> None:
        save = Save((members,), ())
        self.append(lambda state: save.operations(state, "Ada", None))

    def cut(self, *parts: list[int]) -> None:
        arrays = [ids(sorted(part)) for part in parts]
        self.append(lambda state: [cut(state, self.history, arrays, FRESH, "Bo")])

    def undo(self, *numbers: int) -> None:
        self.append(lambda state: [undone(state, self.history, numbers, FRESH, who="Cy")])

    def redo(self, *numbers: int) -> None:
        self.append(lambda state: [redone(state, self.history, numbers, FRESH, who="Cy")])

    def segments(self) -> set[frozenset[int]]:
        return partition(self.state)


def partition(state: Any) -> set[frozenset[int]]:
    names = state.segments(ids(range(MOST))).tolist()
    groups = {frozenset(n for n in range(MOST) if names[n] == name) for name in names}
    for group in groups:
        assert set(state.segment_of(min(group)).tolist()) == group
    return groups


def replayed(operations: list[Any]) -> set[frozenset[int]]:
    """Return the segments as if nothing that is taken back had ever been there."""
    model = Model(ids(range(MOST)))
    for each in operations:
        model.do(step_of(each))
    return {frozenset(model.members(model.labels, one)) for one in range(MOST)}


def test_what_a_merge_joined_is_parted_and_joined_again() -> None:
    channel = Channel("/seg", MemoryLog())
    channel.merge(1, 2)
    channel.merge(3, 4)
    channel.merge(2, 3)
    channel.merge(5, 4)
    channel.undo(3)
    assert {frozenset({1, 2}), frozenset({3, 4, 5})} <= channel.segments()
    assert channel.state.segments(ids([1, 2, 3, 4, 5])).tolist() == [1, 1, 5, 5, 5]
    channel.redo(3)
    assert frozenset({1, 2, 3, 4, 5}) in channel.segments()
    with pytest.raises(Conflict, match="not taken back"):
        channel.redo(3)
    channel.undo(6)
    with pytest.raises(Conflict, match="is taken back already, by 7 \\(undo by Cy"):
        channel.undo(6)


def test_the_parts_of_a_split_are_joined_unless_they_changed() -> None:
    channel = Channel("/seg", MemoryLog())
    channel.merge(1, 2, 3, 4, 5, 6)
    channel.cut([1, 2], [3])
    assert channel.state.segments(ids(range(1, 7))).tolist() == [1, 1, 3, 4, 4, 4]
    channel.cut([1], [2])
    with pytest.raises(Conflict, match=r"others came after it: 3 \(cut by Bo"):
        channel.undo(2)
    channel.undo(3)
    channel.undo(2)
    assert channel.state.segments(ids(range(1, 7))).tolist() == [1] * 6
    channel.redo(2)
    channel.merge(1, 4)
    with pytest.raises(Conflict, match=r"others came after it: 7 \(merge by Ada"):
        channel.undo(2)
    channel.undo(2, 7)
    assert frozenset(range(1, 7)) in channel.segments()


def test_a_merge_that_others_repeated_cannot_be_taken_back_alone() -> None:
    channel = Channel("/seg", MemoryLog())
    for pair in ((1, 2), (3, 4), (2, 3)):
        channel.merge(*pair)
    channel.cut([1, 2])
    with pytest.raises(Conflict, match=r"others came after it: 4 \(cut by Bo"):
        channel.undo(3)
    channel.merge(1, 4)
    with pytest.raises(Conflict, match=r"others came after it: 5 \(merge"):
        channel.undo(3)
    channel.undo(1, 5)
    assert {frozenset({1}), frozenset({2}), frozenset({3, 4})} <= channel.segments()


def test_a_split_leaves_edges_to_what_was_elsewhere() -> None:
    """What was split off before is joined again where it was, though its neighbour moved."""
    channel = Channel("/seg", MemoryLog())
    channel.merge(1, 2, 3, 5)
    channel.merge(4, 1)
    channel.cut([4, 5])
    channel.cut([3])
    channel.undo(3)
    assert {frozenset({1, 2, 4}), frozenset({3, 5})} <= channel.segments()
    channel.undo(4)
    assert frozenset({1, 2, 3, 4, 5}) in channel.segments()
    channel.redo(4)
    assert {frozenset({1, 2, 4}), frozenset({3, 5})} <= channel.segments()


def test_many_merges_are_taken_back_as_one() -> None:
    random = np.random.default_rng(6)
    for _ in range(30):
        channel = Channel("/seg", MemoryLog())
        while channel.state.position < 12:
            pair = random.choice(MOST - 1, 2, replace=False) + 1
            if len(set(channel.state.segments(ids(pair)).tolist())) == 2:
                channel.merge(*pair.tolist())
        numbers = sorted(random.choice(12, random.integers(1, 12), replace=False) + 1)
        before = channel.segments()
        channel.undo(*map(int, numbers))
        assert channel.segments() == replayed([*channel.operations()])
        channel.redo(*map(int, numbers))
        assert channel.segments() == before


def test_a_split_of_what_is_no_segment_is_refused() -> None:
    channel = Channel("/seg", MemoryLog())
    channel.merge(1, 2)
    for parts in ([[1, 2]], [[1], [3]], [[1], [1]], [[5]]):
        with pytest.raises(BadRequest):
            channel.cut(*parts)
    assert channel.state.position == 1


def test_parts_whose_ids_are_taken_have_ids_of_their_own() -> None:
    """Segments of tables may be called as supervoxels of others."""
    channel = Channel("/seg", MemoryLog())
    rows = ids([1, 2, 3, 4, 5, 6, 7, 8]), ids([8, 8, 7, 7, 9, 9, 9, 9])
    channel.append(added(*rows, "Di"))
    channel.cut([7])
    channel.cut([8])
    assert channel.state.segments(ids(range(1, 9))).tolist() == [8, 8, 7, 7, 9, 9, 1000, 1001]
    channel.undo(2)
    channel.redo(2)
    assert channel.state.segments(ids([7, 8])).tolist() == [1000, 1001]


@settings(max_examples=300, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(st.data())
def test_random_operations_are_those_of_a_graph(data: st.DataObject) -> None:
    """Every state on the way, also rebuilt, is what the operations that count make of a graph."""
    channel = Channel("/seg", MemoryLog())
    expected = [channel.segments()]
    for _ in range(data.draw(st.integers(1, 14))):
        number = channel.state.position + 1
        large = sorted(sorted(each) for each in channel.segments() if len(each) > 1)
        kind = data.draw(st.sampled_from(["merge", "merge", "cut", "undo"]))
        if kind == "cut" and large:
            members = data.draw(st.permutations(data.draw(st.sampled_from(large))))
            cuts = data.draw(st.sets(st.integers(1, len(members) - 1), min_size=1, max_size=2))
            ends = [0, *sorted(cuts), len(members)]
            groups = {frozenset(members[a:b]) for a, b in pairwise(ends)}
            channel.cut(*map(sorted, [*groups][1:]))
            assert groups <= channel.segments()
        elif kind == "undo" and number > 1:
            chosen = data.draw(st.sets(st.integers(1, number - 1), min_size=1, max_size=3))
            try:
                channel.undo(*chosen)
            except Conflict:
                continue
        else:
            some = st.lists(st.integers(1, MOST - 1), min_size=2, max_size=4, unique=True)
            channel.merge(*data.draw(some))
        if channel.state.position == number:
            expected.append(replayed(list(channel.operations())))
        assert channel.segments() == expected[-1]
    for position, segments in enumerate(expected):
        assert partition(channel.at(position)) == segments


def test_undo_of_all_gives_the_start() -> None:
    """In one operation, whatever the order of merges and splits was."""
    random = np.random.default_rng(5)
    channel = Channel("/seg", MemoryLog())
    while channel.state.position < 60:
        members = random.choice(MOST - 1, 2, replace=False) + 1
        segment = channel.state.segment_of(int(members[0])).tolist()
        if len(segment) > 3 and random.random() < 0.6:
            channel.cut(segment[: random.integers(1, len(segment))])
        else:
            channel.merge(*members.tolist())
    channel.undo(*range(1, 61))
    assert channel.segments() == {frozenset({n}) for n in range(MOST)}
    channel.redo(*range(1, 61))
    assert channel.segments() == partition(channel.at(60))


def names(channel: Channel) -> list[int]:
    result: list[int] = channel.state.segments(ids(range(MOST))).tolist()
    return result


def table(channel: Channel, rows: list[int], segment: int) -> None:
    channel.append(added(ids(rows), ids([segment] * len(rows)), "Di"))


def test_a_segment_that_only_a_table_named_has_its_own_name_again() -> None:
    channel = Channel("/seg", MemoryLog())
    channel.merge(1, 2)
    table(channel, [1, 2], 20)
    table(channel, [3], 21)
    assert names(channel)[:5] == [0, 20, 20, 21, 4]
    channel.undo(2, 3)
    assert names(channel)[:5] == [0, 1, 1, 3, 4]
    channel.redo(2, 3)
    assert names(channel)[:5] == [0, 20, 20, 21, 4]


def test_an_id_that_becomes_free_goes_to_the_segment_that_lacked_it() -> None:
    """Also if that is not among those that are taken back, and is what a redo restores."""
    channel = Channel("/seg", MemoryLog())
    channel.merge(1, 2)
    table(channel, [7, 8], 2)
    channel.undo(1)
    assert names(channel)[:9] == [0, 1, 1000, 3, 4, 5, 6, 2, 2]
    channel.undo(2)
    assert names(channel) == list(range(MOST))
    channel.redo(2)
    assert names(channel)[:9] == [0, 1, 1000, 3, 4, 5, 6, 2, 2]


def test_a_name_of_a_table_is_kept_while_the_table_is() -> None:
    channel = Channel("/seg", MemoryLog())
    table(channel, [1, 2], 20)
    channel.cut([1])
    channel.merge(3, 4)
    channel.undo(3)
    assert names(channel)[:5] == [0, 20, 2, 3, 4]


@pytest.mark.parametrize("seed", range(100))
def test_undo_of_all_gives_the_names_of_the_start(seed: int) -> None:
    """Tables name segments as supervoxels of others; redo gives the names of the end."""
    random = np.random.default_rng(seed)
    channel = Channel("/seg", MemoryLog())
    for _ in range(int(random.integers(2, 14))):
        large = sorted(sorted(each) for each in channel.segments() if len(each) > 1)
        unedited = np.flatnonzero(channel.state.numbers(ids(range(MOST))) == 0)[1:]
        kind, last = random.integers(0, 10), channel.state.position
        if kind < 3 and large:
            members = random.permutation(large[random.integers(len(large))]).tolist()
            channel.cut(members[: random.integers(1, len(members))])
        elif kind < 5 and len(unedited):
            rows = random.permutation(unedited)[: random.integers(1, 4)].tolist()
            free = np.setdiff1d(np.arange(1, 40), names(channel))
            table(channel, sorted(rows), int(random.choice(free)))
        elif kind < 7 and last:
            with suppress(Conflict):
                channel.undo(*np.unique(random.integers(1, last + 1, 2)).tolist())
        else:
            channel.merge(*(random.choice(MOST - 1, 3, replace=False) + 1).tolist())
    before = names(channel)
    assert len(set(before)) == len(channel.segments())
    undone_by = channel.history.undone
    stands = [e.id for e in channel.operations() if not e.undoes and e.id not in undone_by]
    is_edited = before != list(range(MOST))
    if is_edited:
        channel.undo(*stands)
    assert names(channel) == list(range(MOST))
    if is_edited:
        channel.redo(*stands)
    assert names(channel) == before


def test_a_large_table_is_taken_back_and_done_again() -> None:
    channel = Channel("/seg", MemoryLog())
    random = np.random.default_rng(2)
    rows, segments = np.arange(1, 4001), random.permutation(3999)[random.integers(0, 80, 4000)]
    channel.append(added(rows.astype(np.uint64), segments.astype(np.uint64) + 1, "Di"))
    after = channel.state.segments(rows.astype(np.uint64))
    channel.append(lambda state: [undone(state, channel.history, [1], 5000, who="Cy")])
    assert channel.state.segments(rows.astype(np.uint64)).tolist() == rows.tolist()
    channel.append(lambda state: [redone(state, channel.history, [1], 5000, who="Cy")])
    assert channel.state.segments(rows.astype(np.uint64)).tolist() == after.tolist()


def test_a_log_on_disk_is_read_again(tmp_path: Any) -> None:
    """All operations, their lineage and what is taken back are there after a start."""

    def opened() -> Channel:
        return Channel("/seg", Sqlite(str(tmp_path / "bfly.db"), RUNTIME()).edit_log())

    channel = opened()
    channel.merge(1, 2, 3)
    channel.merge(4, 5)
    channel.merge(3, 4)
    channel.cut([1, 5])
    channel.undo(4)
    for again in (opened(), opened()):
        assert again.segments() == channel.segments()
        everything = ids(range(MOST))
        numbers = again.state.numbers(everything)
        assert numbers.tolist() == channel.state.numbers(everything).tolist()
        assert again.history.undone == channel.history.undone == {4: 5}
        assert again.history.lineage.operations_of([int(numbers[1])]) == [1, 2, 3, 4, 5]
        assert again.history.lineage.later([1]) == [3, 4, 5]
    again.redo(4)
    channel.catch_up()
    assert channel.segments() == again.segments()
