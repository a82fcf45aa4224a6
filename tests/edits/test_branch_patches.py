"""Patches of branches that are merged, against volumes in numpy."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bfly.databases.sqlite import Sqlite
from bfly.edits.branch_merge import OURS, THEIRS, BranchMerge
from bfly.edits.diff import differences
from bfly.edits.edits import Edits
from bfly.edits.log import MemoryLog
from bfly.edits.patch import Fresh
from bfly.errors import Absent, BadRequest, Conflict
from bfly.keywords import RUNTIME
from tests.fixtures.patching import Patching

if TYPE_CHECKING:
    from pathlib import Path

    from bfly.edits.channel_lines import Found
    from bfly.edits.log import EditLog

PATH, FIRST, SHAPE = "/seg", 100, (3, 4, 6)
ROW = (slice(None), 0)


class Lines:
    """A channel of supervoxels 0 to 8 in blocks, and its branches."""

    def __init__(self, log: EditLog | None = None) -> None:
        self.edits = Edits(log or MemoryLog())
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
        for each in differences(lines.found("try"), lines.found("")):
            # The same segments, under other names.
            names = set(zip(each.before.tolist(), each.after.tolist(), strict=True))
            assert len({one for one, _ in names}) == len({other for _, other in names})
            assert len(names) == len({one for one, _ in names})
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
        # What changes nothing, since the voxels are erased already, waits too.
        for operation in plan.operations:
            main.do(waiting.pop(operation.again[1]))
        assert partition(lines.main.shown()) == partition(main.shown())


def test_ids_of_patches_are_unique_among_all_lines(tmp_path: Path) -> None:
    """Also those that were taken back, and those of another process."""
    database = str(tmp_path / "bfly.db")
    lines, others = (Lines(Sqlite(database, RUNTIME()).edit_log()) for _ in range(2))
    lines.main.paint(ROW, None)
    branch = lines.branch()
    branch.paint(ROW, None)
    branch.undo(branch.state.position)
    lines.main.paint(ROW, None)
    others.line("try").paint(ROW, None)
    lines.branch("next").paint(ROW, None)
    lines.main.paint(ROW, None)
    lines.edits.catch_up()
    ids = [*made(lines.main, 1), *made(branch, 1), *made(lines.line("next"), 2)]
    assert sorted(ids) == [101, 102, 103, 104, 105]
    for each in (lines, others):
        each.edits.close()


def test_operations_that_name_a_patch_are_done_with_its_new_id(lines: Lines) -> None:
    branch = lines.branch()
    branch.paint(ROW, None)
    branch.merge(100, 8)
    lines.main.paint((0, 3), None)
    assert lines.merge("try") == [2, 3]
    two, three = lines.main.channel.history.operations([2, 3])
    assert (two.again, two.who, two.pairs[:, 1].tolist()) == ((1, 1), "Cy", [102] * len(two.pairs))
    assert three.supervoxels.tolist() == [102, 8]
    # Later ones, too; and what the branch takes back is taken back.
    branch.cut(100)
    assert lines.merge("try") == [4]
    assert lines.main.channel.history.operations([4])[0].again == (1, 3)
    branch.undo(1, 2, 3)
    assert lines.merge("try") == [5]
    expected = lines.stored.copy()
    expected[0, 3] = 101
    assert np.array_equal(lines.main.shown(), expected)


def test_painting_over_what_others_painted_since_takes_a_choice(lines: Lines) -> None:
    branch = lines.branch()
    lines.main.paint(ROW, 8)
    branch.paint((slice(None), slice(0, 2)), 5)
    branch.paint((slice(None), 3), 0)
    (found,) = lines.plan("try", "", {}).contradictions
    assert (found.operation.id, found.others, found.can_win) == (1, (1,), True)
    assert "other supervoxels here" in found.reason
    assert lines.merge("try", "main", {1: OURS}) == [2]
    expected = lines.stored.copy()
    expected[:, 0][expected[:, 0] != 8], expected[:, 3] = 8, 0
    assert np.array_equal(lines.main.shown(), expected)
    assert lines.merge("try", "main", {1: THEIRS}) == [3]
    expected[:, :2] = 5
    assert np.array_equal(lines.main.shown(), expected)
    lines.main.undo(3)
    expected[:, 0], expected[:, 1] = 8, lines.stored[:, 1]
    assert np.array_equal(lines.main.shown(), expected)


def test_a_split_of_voxels_that_others_changed_is_left_out(lines: Lines) -> None:
    branch = lines.branch()
    half = (lines.stored == 4) & (np.arange(6) < 3)
    branch.inside(half)
    branch.merge(100, 7)
    lines.main.paint(half & (np.arange(6) < 1), 3)
    found = lines.plan("try", "", {1: THEIRS}).contradictions
    assert [(each.operation.id, each.others, each.can_win) for each in found] == [
        (1, (1,), False),
        (2, (), False),
    ]
    assert lines.merge("try", "main", {1: OURS, 2: OURS}) == []
    lines.main.undo(1)
    assert lines.merge("try") == [3, 4]
    assert partition(lines.main.shown()) == partition(branch.shown())


def test_what_names_a_patch_that_was_taken_back_here_is_a_conflict(lines: Lines) -> None:
    lines.main.paint(ROW, None)
    branch = lines.branch()
    branch.merge(100, 8)
    lines.main.undo(1)
    (found,) = lines.plan("try", "", {}).contradictions
    assert (found.operation.id, found.others, found.can_win) == (2, (2,), False)
    assert "not here" in found.reason
    lines.main.redo(1)
    lines.merge("try")
    assert np.array_equal(lines.main.shown(), branch.shown())


def test_a_patch_that_was_taken_back_here_is_done_anew_by_choice(lines: Lines) -> None:
    branch = lines.branch()
    branch.paint(ROW, None)
    lines.merge("try")
    lines.main.undo(1)
    branch.merge(100, 8)
    (found,) = lines.plan("try", "", {}).contradictions
    assert (found.operation.id, found.others, found.can_win) == (1, (2,), True)
    assert lines.merge("try", "main", {1: THEIRS}) == [3, 4]
    assert partition(lines.main.shown()) == partition(branch.shown())
    assert made(lines.main, 0) == [101, 102]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_lines_that_are_merged_both_ways_become_the_same(seed: int) -> None:
    """Each paints in a plane of its own, and joins what it painted on."""
    random, lines = np.random.default_rng(seed), Lines()
    branch = lines.branch()
    for _ in range(3):
        for line, plane in ((lines.main, 0), (branch, 2)):
            for _ in range(2):
                mask, low = np.zeros(SHAPE, bool), random.integers(0, SHAPE[1:])
                mask[plane][tuple(map(slice, low, low + random.integers(1, 5, 2)))] = True
                here = line.patched()[plane]
                a, b = random.choice(here[here > 0], 2).tolist() if here.any() else (None, None)
                line.paint(mask, [None, 0, a][random.integers(0, 3)])
                if a and random.integers(0, 2):
                    line.merge(a, b)
        lines.merge("try")
        lines.merge("main", "try")
        assert partition(lines.main.shown()) == partition(branch.shown())
        assert lines.merge("try") == lines.merge("main", "try") == []


def test_patches_go_both_ways(lines: Lines) -> None:
    branch = lines.branch()
    branch.paint((0, 0), None)
    lines.main.paint((0, 1), None)
    lines.merge("try")
    assert lines.merge("main", "try") == [2]
    # What was merged is named on either line, by the id that it has there.
    (first, _), (_, second) = made(branch, 0), made(lines.main, 0)[::-1]
    lines.main.merge(made(lines.main, 0)[1], 8)
    branch.merge(made(branch, 0)[1], 7)
    lines.merge("main", "try")
    lines.merge("try")
    assert partition(lines.main.shown()) == partition(branch.shown())
    assert first != second
    assert not differences(lines.found("try"), lines.found(""))


def test_differences_tell_what_was_patched(lines: Lines) -> None:
    branch = lines.branch()
    branch.paint((0, 0), 8)
    branch.paint((2, 0), 0)
    told = differences(lines.found(""), lines.found("try"))
    rows = [(d.supervoxels.tolist(), d.others.tolist(), d.after.tolist()) for d in told]
    assert rows == [
        ([6], [6], [6]),
        ([0, 8], [100, 8], [8, 8]),
    ]
    back = differences(lines.found("try"), lines.found("main"))
    rows = [(d.supervoxels.tolist(), d.others.tolist(), d.after.tolist()) for d in back]
    assert rows == [([6], [6], [6]), ([8, 100], [8, 0], [8, 0])]
    # Of a line, too.
    past = differences(lines.found("try@1"), lines.found("try"))
    assert [each.supervoxels.tolist() for each in past] == [[6]]
    lines.merge("try")
    assert not differences(lines.found(""), lines.found("try"))
