"""Segments that are merged and parted, against plain dictionaries."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bfly.edits.forest import Forest

MOST = 24


def ids(numbers: Any) -> Any:
    return np.array(list(numbers), np.uint64)


class Model:
    """Segments as sets, with the number of each."""

    def __init__(self) -> None:
        self.segments = {number: frozenset({number}) for number in range(MOST)}
        self.titles = {number: (number, 0) for number in range(MOST)}
        self.numbers = 0

    def become(self, members: frozenset[int], name: int, number: int) -> None:
        for each in members:
            self.segments[each] = members
            self.titles[each] = (name, number)

    def merge(self, members: list[int]) -> None:
        self.numbers += 1
        joined = frozenset().union(*(self.segments[each] for each in members))
        self.become(joined, members[0], self.numbers)

    def part(self, parts: list[list[int]], rest: list[int], name: int) -> None:
        for members in [*parts, rest]:
            self.numbers += 1
            self.become(frozenset(members), name if members is rest else members[0], self.numbers)


def check(forest: Forest, at: int, count: int, titles: dict[int, tuple[int, int]]) -> None:
    everything = ids(range(MOST))
    assert forest.segments(everything, at, count).tolist() == [titles[n][0] for n in range(MOST)]
    places = forest.find(everything, count)
    known = places >= 0
    roots = forest.roots(places[known], at)
    numbers = forest.numbers_of(roots, at).tolist()
    assert numbers == [titles[n][1] for n in np.flatnonzero(known)]
    for root, number in {*zip(roots.tolist(), numbers, strict=True)}:
        members = {n for n in range(MOST) if number and titles[n][1] == number}
        assert set(forest.members(root, at).tolist()) == members or not number
        if number:
            found, since = forest.numbered(number)
            assert set(forest.members(found, since).tolist()) == members


@given(st.data())
def test_each_state_of_merges_and_parts_stays_as_it_was(data: st.DataObject) -> None:
    """Segments, names, numbers and members of every state, after all operations."""
    forest, model, states = Forest(), Model(), []
    for at in range(1, data.draw(st.integers(1, 14)) + 1):
        large = [s for s in {*model.segments.values()} if len(s) > 1]
        if large and data.draw(st.booleans()):
            members = data.draw(st.permutations(sorted(data.draw(st.sampled_from(large)))))
            cuts = sorted(
                data.draw(st.sets(st.integers(1, len(members) - 1), min_size=1, max_size=3))
            )
            rest, parts = members[: cuts[0]], []
            for start, stop in zip(cuts, [*cuts[1:], len(members)], strict=True):
                parts.append(members[start:stop])
            name = model.titles[members[0]][0]
            name = name if name in rest else rest[0]
            sizes = [len(part) for part in parts]
            names = ids([*(part[0] for part in parts), name])
            forest.part(ids(chain(*parts)), sizes, names, at)
            model.part(parts, rest, name)
        else:
            members = data.draw(st.lists(st.integers(0, MOST - 1), min_size=2, max_size=5))
            forest.join(ids(members), [len(members)], ids(members[:1]), at)
            model.merge(members)
        states.append((at, forest.count, dict(model.titles)))
    assert forest.numbers == model.numbers
    for state in states:
        check(forest, *state)


def test_parts_of_two_segments_in_one_operation_which_also_merges() -> None:
    """The numbers follow the parts, the rests in the order of mention, and the merges."""
    forest = Forest()
    forest.join(ids([1, 2, 3, 4, 5, 6]), [3, 3], ids([1, 4]), 1)
    forest.part(ids([5, 1, 2]), [1, 2], ids([5, 1, 4, 3]), 2)
    forest.join(ids([5, 1]), [2], ids([99]), 2)
    everything = ids(range(1, 7))
    assert forest.segments(everything, 2, forest.count).tolist() == [99, 99, 3, 4, 99, 4]
    roots = forest.roots(forest.find(everything, forest.count), 2)
    assert forest.numbers_of(roots, 2).tolist() == [7, 7, 6, 5, 7, 5]
    assert forest.segments(everything, 1, forest.count).tolist() == [1, 1, 1, 4, 4, 4]
    assert forest.numbered(2) == (int(forest.roots(forest.find(ids([4]), 9), 1)[0]), 1)
    assert forest.numbered(8) == (-1, 0)
