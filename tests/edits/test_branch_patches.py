"""Patches of branches that are merged, against volumes in numpy."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bfly.edits.branch_merge import OURS, THEIRS, BranchMerge
from bfly.edits.diff import differences
from bfly.edits.edits import Edits
from bfly.edits.log import MemoryLog
from bfly.edits.patch import Fresh
from bfly.errors import Absent, BadRequest, Conflict
from tests.fixtures.patching import Patching

if TYPE_CHECKING:
    from bfly.edits.channel_lines import Found

PATH, FIRST, SHAPE = "/seg", 100, (3, 4, 6)
ROW = (slice(None), 0)


class Lines:
    """A channel of supervoxels 0 to 8 in blocks, and its branches."""

    def __init__(self) -> None:
        self.edits = Edits(MemoryLog())
        self.stored = np.repeat(np.arange(9, dtype=np.uint32), 8).reshape(SHAPE)
        self.main = self.line("")

    def line(self, name: str) -> Patching:
        line = Patching(self.edits.found(PATH, name).edits, self.stored, FIRST)
        line.fresh = self.ids()
        return line

    def ids(self) -> Fresh:
        return Fresh(FIRST, 2**31, self.edits.lines(PATH).patch_ids.last)

    def branch(self, name: str = "try", of: str = "") -> Patching:
        self.edits.lines(PATH).add("branch", name, of, "Ada")
        return self.line(name)

    def found(self, name: str) -> Found:
        return self.edits.found(PATH, name)

    def plan(self, source: str, target: str, choices: Any) -> BranchMerge:
        return BranchMerge(self.found(source), self.found(target), FIRST, choices, self.ids)

    def merge(self, source: str, target: str = "", choices: Any = None) -> list[int]:
        plan = self.plan(source, target, choices or {})
        assert [(each.operation.id, each.reason) for each in plan.contradictions] == []
        self.found(target).writable.append(lambda _: plan.operations)
        return [each.id for each in plan.operations]


@pytest.fixture
def lines() -> Lines:
    return Lines()


def partition(image: Any) -> list[int]:
    """Return an image of segments whatever their names, with the background as 0."""
    seen = {0: 0}
    return [seen.setdefault(int(name), len(seen)) for name in image.ravel()]


def made(line: Patching, since: int) -> list[int]:
    """Return the supervoxels that patches after an operation made."""
    patches = [each for each in line.channel.history.patches() if each.number > since]
    return [one for each in patches for one in np.unique(each.new[each.new > 0]).tolist()]


def act(line: Patching, random: np.random.Generator) -> None:
    with suppress(Absent, BadRequest, Conflict):
        line.random(random)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_what_a_branch_alone_painted_and_split_is_what_the_merge_makes(seed: int) -> None:
    """Again and again; nothing comes back; and all of it can be taken back."""
    random, lines = np.random.default_rng(seed), Lines()
    for _ in range(3):
        act(lines.main, random)
    branch, start, done = lines.branch(), lines.main.shown(), []
    since = lines.main.state.position
    rounds = int(random.choice([1, 3]))
    for _ in range(rounds):
        for _ in range(4):
            act(branch, random)
        done = lines.merge("try")
        assert partition(lines.main.shown()) == partition(branch.shown())
        assert lines.merge("try") == lines.merge("main", "try") == []
        assert not differences(lines.found("try"), lines.found(""))
    ids = [*made(branch, 0), *made(lines.main, since)]
    assert len(set(ids)) == len(ids)
    if rounds == 1 and done and partition(lines.main.shown()) != partition(start):
        lines.main.undo(*done)
        assert partition(lines.main.shown()) == partition(start)


class Model:
    """A volume of labels, and which of them are one segment."""

    def __init__(self, volume: np.ndarray, graph: nx.Graph) -> None:
        self.volume, self.graph = volume.copy(), graph.copy()

    def shown(self) -> Any:
        owner = {n: min(c) for c in nx.connected_components(self.graph) for n in c}
        return np.vectorize(lambda label: owner.get(label, label))(self.volume)

    def do(self, step: Any) -> None:
        kind, where, label = step
        if kind == "join":
            self.graph.add_edge(where, label)
        else:
            self.volume[where] = label


def step(line: Patching, model: Model, random: np.random.Generator, label: int) -> Any:
    """Paint or join at random on a line and its model; return what it does to a model."""
    a, b = (tuple(random.integers(0, SHAPE)) for _ in range(2))
    mask, low = np.zeros(SHAPE, bool), random.integers(0, SHAPE)
    mask[tuple(map(slice, low, low + random.integers(1, 5, 3)))] = True
    here, there = (int(line.patched()[each]) for each in (a, b))
    shown = model.shown()
    kind = random.integers(0, 4)
    if kind == 0 and here and there and shown[a] != shown[b]:
        line.merge(here, there)
        done = ("join", int(model.volume[a]), int(model.volume[b]))
    elif kind == 1 and here:
        done = ("paint", mask & (shown != shown[a]), int(model.volume[a]))
        line.paint(mask, here)
    elif kind == 2:
        done = ("paint", mask & (model.volume != 0), 0)
        line.paint(mask, 0)
    else:
        done = ("paint", mask, label)
        line.paint(mask, None)
    model.do(done)
    assert partition(model.shown()) == partition(line.shown())
    return done


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=80, deadline=None)
def test_both_sides_paint_and_choices_decide(seed: int) -> None:
    """In three rounds; what is left out is a conflict again later."""
    random, lines = np.random.default_rng(seed), Lines()
    main = Model(lines.stored.astype(int), nx.Graph())
    label = iter(range(1000, 10000))
    for _ in range(2):
        step(lines.main, main, random, next(label))
    branch, own = lines.branch(), Model(main.volume, main.graph)
    waiting: dict[int, Any] = {}
    for _ in range(3):
        for _ in range(5):
            if random.integers(0, 2):
                step(lines.main, main, random, next(label))
                continue
            before = branch.state.position
            done = step(branch, own, random, next(label))
            if branch.state.position > before:
                waiting[before + 1] = done
        choices: dict[int, str] = {}
        while (plan := lines.plan("try", "", choices)).contradictions:
            for each in plan.contradictions:
                # One that should win may need another that was left out since.
                assert choices.get(each.operation.id) in (None, "" if each.can_win else THEIRS)
                choices[each.operation.id] = [OURS, THEIRS][random.integers(0, 1 + each.can_win)]
        lines.merge("try", choices=choices)
        for number in [each for each in waiting if each not in plan.left_out]:
            main.do(waiting.pop(number))
        assert partition(lines.main.shown()) == partition(main.shown())
