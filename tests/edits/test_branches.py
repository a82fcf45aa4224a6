"""Branches, against channels that have the same operations and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from bfly.core.root_ids import RootIds
from bfly.databases.sqlite import Sqlite
from bfly.edits.channel import ChannelEdits
from bfly.edits.cut import cut
from bfly.edits.edits import Edits
from bfly.edits.log import MemoryLog
from bfly.edits.merge import merged
from bfly.edits.message import Save, to_message
from bfly.edits.patch import Fresh, painted
from bfly.edits.undo import redone, undone
from bfly.errors import Absent, BadRequest, Conflict
from bfly.geometry import BoundingBox
from bfly.keywords import RUNTIME

if TYPE_CHECKING:
    from pathlib import Path

    from bfly.edits.state import EditState

MOST = 14
FRESH = 1000
PATH = "/data/seg.h5"
EVERYTHING = np.arange(1, MOST + 1, dtype=np.uint64)


def ids(numbers: Any) -> Any:
    return np.array(list(numbers), np.uint64)


def merge(edits: ChannelEdits, *members: int) -> None:
    edits.append(lambda state: filter(None, [merged(state, members, "Ada")]))


def part(edits: ChannelEdits, *supervoxels: int) -> None:
    edits.append(lambda state: [cut(state, edits.history, [ids(supervoxels)], FRESH, "Bo")])


def undo(edits: ChannelEdits, *numbers: int) -> None:
    edits.append(lambda state: [undone(state, edits.history, numbers, FRESH, who="Cy")])


def redo(edits: ChannelEdits, *numbers: int) -> None:
    edits.append(lambda state: [redone(state, edits.history, numbers, FRESH, who="Cy")])


def facts(state: EditState) -> Any:
    """Return all that a state says of the supervoxels."""
    names = state.segments(EVERYTHING)
    everything = [*EVERYTHING.tolist(), FRESH]
    members, sizes, titles = state.groups(EVERYTHING)
    groups = np.split(members, np.cumsum(sizes)[:-1])
    return {
        "names": names.tolist(),
        "numbers": state.numbers(EVERYTHING).tolist(),
        "members": [state.members(each).tolist() for each in everything],
        "segments": [state.segment_of(each).tolist() for each in everything],
        "is_name": state.is_name(ids(everything)).tolist(),
        "named": sorted(state.named(ids(everything))[1].tolist()),
        "held": [sorted(state.standing_for(each)) for each in everything],
        "numbered": [state.numbered(n).tolist() for n in range(1, state.last_number + 1)],
        "groups": sorted((int(t), sorted(g.tolist())) for t, g in zip(titles, groups, strict=True)),
        "splits": state.splits,
        "last": state.last_number,
        "message": to_message(state),
    }


def partition(names: list[int]) -> set[frozenset[int]]:
    return {
        frozenset(n for n, name in zip(EVERYTHING.tolist(), names, strict=True) if name == each)
        for each in names
    }


class Line:
    """A line of edits, and a channel that is to be like it; and plain sets."""

    def __init__(self, edits: ChannelEdits, twin: ChannelEdits, sets: set[frozenset[int]]) -> None:
        self.edits, self.twin, self.sets = edits, twin, sets
        self.states = {edits.state.position: facts(twin.state)}

    def both(self, change: Any, *numbers: int) -> bool:
        """Do the same to both; return whether it could be done to both."""
        done = []
        for edits in (self.twin, self.edits):
            try:
                change(edits, *numbers)
                done.append("")
            except (Conflict, BadRequest) as error:
                done.append(str(error))
        strip = [each[:40] for each in done]
        assert strip[0] == strip[1], done
        self.states[self.twin.state.position] = facts(self.twin.state)
        return not done[0]

    def merge(self, *members: int) -> None:
        self.both(merge, *members)
        hit = {each for each in self.sets if each & {*members}}
        self.sets = (self.sets - hit) | {frozenset().union(*hit)}

    def part(self, *members: int) -> None:
        (whole,) = (each for each in self.sets if members[0] in each)
        self.both(part, *members)
        self.sets = (self.sets - {whole}) | {frozenset(members), whole - {*members}}

    def begun(self, edits: ChannelEdits, position: int) -> Line:
        """Return a line that begins after an operation, with a channel of its own."""
        twin = ChannelEdits("/twin", MemoryLog())
        for operation in self.twin.operations():
            if operation.id <= position:
                twin.append(lambda _, one=operation: [one])
        line = Line(edits, twin, partition(twin.state.segments(EVERYTHING).tolist()))
        line.states |= {at: told for at, told in self.states.items() if at <= position}
        return line

    def check(self, edits: ChannelEdits) -> None:
        assert edits.state.position == self.twin.state.position
        assert facts(edits.state) == facts(self.twin.state)
        assert partition(facts(edits.state)["names"]) == self.sets
        for position, told in self.states.items():
            assert facts(edits.at(position)) == told
        lineage, other = edits.history.lineage, self.twin.history.lineage
        for number in range(1, edits.state.last_number + 1):
            assert lineage.made_by(number) == other.made_by(number)
            assert lineage.replaced_by(number) == other.replaced_by(number)
            assert lineage.later([number]) == other.later([number])
        for operation in range(1, edits.state.position + 1):
            assert lineage.replaced(operation) == other.replaced(operation)
            assert lineage.made(operation) == other.made(operation)
        assert edits.history.undone == self.twin.history.undone
        told = [each.id for each in edits.operations()]
        assert told == list(range(1, edits.state.position + 1))


def act(data: st.DataObject, line: Line) -> None:
    """Do something to a line."""
    kind = data.draw(st.sampled_from(["merge", "merge", "part", "undo", "redo"]))
    large = [sorted(each) for each in line.sets if len(each) > 1]
    last = line.twin.state.position
    if kind == "merge":
        members = st.lists(st.integers(1, MOST), min_size=2, max_size=4, unique=True)
        line.merge(*data.draw(members))
    elif kind == "part" and large:
        members = data.draw(st.sampled_from(sorted(large)))
        count = data.draw(st.integers(1, len(members) - 1))
        line.part(*sorted(data.draw(st.permutations(members))[:count]))
    elif last and kind in ("undo", "redo"):
        number = data.draw(st.integers(1, last))
        if line.both(undo if kind == "undo" else redo, number):
            line.sets = partition(line.twin.state.segments(EVERYTHING).tolist())


def check_roots(lines: list[Line]) -> None:
    """Check that no root id means two segments, of whatever line and state."""
    meant: dict[int, list[int]] = {}
    for line in lines:
        roots = RootIds(MOST, line.edits.ranges)
        for position in line.states:
            state = line.edits.at(position)
            for root, one in zip(roots.of(state, EVERYTHING), EVERYTHING, strict=True):
                members = state.segment_of(int(one)).tolist()
                assert meant.setdefault(int(root), members) == members
                assert roots.of_number(roots.number(int(root))) == root or root <= MOST


@settings(deadline=None, max_examples=12, phases=[Phase.explicit, Phase.generate])
@given(data=st.data())
def test_a_branch_is_as_a_channel_with_its_operations(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Branches of branches, edited in turn, in every state, and as another process reads them."""
    database = str(tmp_path_factory.mktemp("log") / "bfly.db")
    edits = Edits(Sqlite(database, RUNTIME()).edit_log())
    first = {frozenset({n}) for n in EVERYTHING.tolist()}
    twin = ChannelEdits("/twin", MemoryLog())
    lines = {"": Line(edits.channel(PATH), twin, first)}
    for step in range(data.draw(st.integers(6, 24))):
        name = data.draw(st.sampled_from(sorted(lines)))
        if len(lines) < 5 and data.draw(st.integers(0, 4)) == 0:
            position = data.draw(st.sampled_from(sorted(lines[name].states)))
            made = f"b{step}"
            edits.lines(PATH).add("branch", made, f"{name or 'main'}@{position}", "Ada")
            lines[made] = lines[name].begun(edits.found(PATH, made).edits, position)
        else:
            act(data, lines[name])
    for line in lines.values():
        line.check(line.edits)
    check_roots(list(lines.values()))
    other = Edits(Sqlite(database, RUNTIME()).edit_log())
    for name, line in lines.items():
        line.check(other.found(PATH, name or "main").edits)
    edits.close()
    other.close()


@pytest.fixture
def edits() -> Edits:
    return Edits(MemoryLog())


def test_a_new_branch_copies_nothing(edits: Edits) -> None:
    """However large the channel is, a branch begins empty, and copies what it touches."""
    channel = edits.channel(PATH)
    channel.append(lambda state: Save(((1, 2, 3), (4, 5), (6, 7)), ()).operations(state, "A", None))
    edits.lines(PATH).add("branch", "try", "", "Ada")
    branch = edits.found(PATH, "try").edits
    overlay: Any = branch.state._forest
    assert overlay.count == 0
    merge(branch, 3, 8)
    assert overlay.count == 4
    assert channel.state.segments(ids([1, 8])).tolist() == [1, 8]
    assert branch.state.segments(ids([1, 8, 5])).tolist() == [3, 3, 4]


def test_names_and_numbers_and_times_call_states(edits: Edits) -> None:
    channel = edits.channel(PATH)
    merge(channel, 1, 2)
    merge(channel, 3, 4)
    lines = edits.lines(PATH)
    lines.add("snapshot", "v1", "main@1", "Ada")
    lines.add("branch", "try", "v1", "Ada")
    merge(edits.found(PATH, "try").writable, 5, 6)
    called = {
        "": [1, 1, 3, 3, 5, 6],
        "main": [1, 1, 3, 3, 5, 6],
        "1": [1, 1, 3, 4, 5, 6],
        "main@0": [1, 2, 3, 4, 5, 6],
        "v1": [1, 1, 3, 4, 5, 6],
        "try": [1, 1, 3, 4, 5, 5],
        "try@1": [1, 1, 3, 4, 5, 6],
        "try@0": [1, 2, 3, 4, 5, 6],
        "try@2": [1, 1, 3, 4, 5, 5],
        "2020-01-01": [1, 2, 3, 4, 5, 6],
        "try@2020-01-01T12:00": [1, 2, 3, 4, 5, 6],
    }
    for name, segments in called.items():
        found = edits.found(PATH, name)
        assert found.state.segments(EVERYTHING[:6]).tolist() == segments, name
        assert edits.found(PATH, name).state is found.state, name
        if name in ("", "main", "try"):
            assert found.writable is found.edits
        else:
            with pytest.raises(Conflict, match="never changes: make a branch from it"):
                _ = found.writable


def test_a_time_calls_the_state_that_was_the_latest_then(edits: Edits) -> None:
    channel = edits.channel(PATH)
    for number, members in enumerate(((1, 2), (3, 4), (5, 6)), 1):
        channel.append(
            lambda state, members=members, number=number: [
                merged(state, members, "Ada", time=1.6e9 + 60 * number)
            ]
        )
    # 1.6e9 is 2020-09-13T12:26:40Z.
    for text, position in {
        "2020-09-13": 0,
        "2020-09-13T12:27:39": 0,
        "2020-09-13T12:27:40": 1,
        "2020-09-13 12:28": 1,
        "2020-09-13T14:29:00+02:00": 2,
        "2020-09-13T14:29:00 02:00": 2,
        "2020-09-13T12:29:40Z": 3,
        "2021-01-01": 3,
    }.items():
        assert edits.found(PATH, text).state.position == position, text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("none", "no branch or snapshot none of /data/seg.h5; there are try, v1"),
        ("9", "operation 9 is not from 0 to 1"),
        ("try@9", "operation 9 is not from 0 to 1"),
        ("2999-01-01", "is not over yet"),
        ("2020-99-01", "2020-99-01"),
        ("2020-01-01Tx", "is not a time such as"),
        ("a b", "a b behind the @"),
        ("1@2", "1@2 behind the @"),
        ("try@v1", "try@v1 behind the @"),
        ("a@b@1", "behind the @"),
        ("v1@1", "v1 is a snapshot"),
        ("@", "behind the @"),
    ],
)
def test_what_calls_no_state_is_refused(edits: Edits, text: str, said: str) -> None:
    merge(edits.channel(PATH), 1, 2)
    edits.lines(PATH).add("branch", "try", "", "Ada")
    edits.lines(PATH).add("snapshot", "v1", "", "Ada")
    with pytest.raises((Absent, BadRequest), match=said):
        edits.found(PATH, text)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "is not made of"),
        ("a b", "is not made of"),
        ("a/b", "is not made of"),
        ("a@b", "is not made of"),
        (".a", "is not made of"),
        ("ä", "is not made of"),
        ("x" * 65, "is not made of"),
        (None, "is not made of"),
        (7, "is not made of"),
        ("42", "looks like an operation or a time"),
        ("2026-11-28", "looks like an operation or a time"),
        ("main", "is reserved"),
        ("Latest", "is reserved"),
    ],
)
def test_names_that_could_mean_something_else_are_refused(
    edits: Edits, name: Any, said: str
) -> None:
    with pytest.raises(BadRequest, match=said):
        edits.lines(PATH).add("branch", name, "", "Ada")


def test_a_name_is_given_once(edits: Edits) -> None:
    merge(edits.channel(PATH), 1, 2)
    lines = edits.lines(PATH)
    made = lines.add("branch", "try", "main@1", "Ada")
    assert lines.add("branch", "try", "main@1", "Ada") == made
    with pytest.raises(Conflict, match="There is a branch try already, from the operation 1"):
        lines.add("branch", "try", "main@0", "Ada")
    with pytest.raises(Conflict, match="There is a branch try already"):
        lines.add("snapshot", "try", "main@1", "Ada")


def test_there_is_an_end_to_names(edits: Edits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bfly.edits.lines.MOST", 2)
    lines = edits.lines(PATH)
    lines.add("branch", "a", "", "Ada")
    lines.add("branch", "b", "", "Ada")
    with pytest.raises(BadRequest, match="There are 2 branches and snapshots"):
        lines.add("branch", "c", "", "Ada")


def test_channels_do_not_see_the_branches_of_others(edits: Edits) -> None:
    edits.lines(PATH).add("branch", "try", "", "Ada")
    with pytest.raises(Absent, match="there are none yet"):
        edits.found("/data/other.h5", "try")


def test_another_process_sees_branches_and_their_edits(tmp_path: Path) -> None:
    one, two = (Edits(Sqlite(str(tmp_path / "bfly.db"), RUNTIME()).edit_log()) for _ in range(2))
    merge(one.channel(PATH), 1, 2)
    with pytest.raises(Absent):
        two.found(PATH, "try")
    one.lines(PATH).add("branch", "try", "", "Ada")
    merge(one.found(PATH, "try").edits, 2, 3)
    assert two.found(PATH, "try").state.segments(ids([3])).tolist() == [2]
    merge(one.found(PATH, "try").edits, 2, 4)
    two.catch_up()
    assert two.found(PATH, "try").state.segments(ids([4])).tolist() == [2]
    assert two.found(PATH).state.segments(ids([3, 4])).tolist() == [3, 4]
    undo(two.found(PATH, "try").edits, 1)
    one.catch_up()
    assert one.found(PATH, "try").state.segments(ids([1, 2, 3])).tolist() == [1, 2, 2]
    assert one.found(PATH).state.segments(ids([1, 2, 3])).tolist() == [1, 1, 3]
    one.close()
    two.close()


def test_past_states_are_those_of_the_log(tmp_path: Path) -> None:
    """Operations of one transaction, of a log that is read at once, and after a stored snapshot."""
    database = str(tmp_path / "bfly.db")
    channel = ChannelEdits(PATH, Sqlite(database, RUNTIME()).edit_log())
    told = [facts(channel.state)]
    for number in range(1, 10):
        merge(channel, number, number + 1)
        told.append(facts(channel.state))
    part(channel, 1, 2, 3)
    told.append(facts(channel.state))
    again = ChannelEdits(PATH, Sqlite(database, RUNTIME()).edit_log(), stops=[4])
    assert again._replay.past(4) is not None
    for edits in (channel, again):
        for position in (10, 0, 4, 7, 3, 9, 4, 7, 5, 0, 8):
            assert facts(edits.at(position)) == told[position]
            assert edits.at(position) is edits.at(position)
    with pytest.raises(BadRequest, match="operation 11 is not from 0 to 10"):
        channel.at(11)


def test_a_name_that_went_to_another_segment_is_found_in_the_past() -> None:
    """The names are no supervoxels of their segments, as those of merge tables may be."""
    channel = ChannelEdits(PATH, MemoryLog())
    merge(channel, 1, 2)
    channel.append(lambda state: [named(state, [1, 2], 900)])
    channel.append(lambda state: [named(state, [1, 3], 901)])
    channel.append(lambda state: [named(state, [4, 5], 900)])
    named_900 = [channel.at(position).named(ids([900]))[0] for position in range(5)]
    members = [[channel.at(p).segment_of(s).tolist() for s in n] for p, n in enumerate(named_900)]
    assert members == [[], [], [[1, 2]], [], [[4, 5]]]


def named(state: EditState, members: list[int], name: int) -> Any:
    from bfly.edits.change import Change

    change = Change()
    change.join(members, name)
    return change.operation(state, "merge", "Ada")


def test_a_branch_has_the_patches_of_its_beginning_and_its_own(tmp_path: Path) -> None:
    """Undo on a branch takes a patch away there alone; past states keep it; a reader sees both."""
    database = str(tmp_path / "bfly.db")
    edits = Edits(Sqlite(database, RUNTIME()).edit_log())
    voxels = np.repeat(np.arange(1, 5, dtype=np.uint32), 4).reshape(1, 4, 4)
    box, fresh = BoundingBox.of_shape((1, 4, 4)), Fresh(100, 2**31)

    def paint(line: ChannelEdits, row: int, into: int | None) -> None:
        def operations(state: EditState) -> list[Any]:
            now, mask = state.patches.apply(voxels, (0, 0, 0)), np.zeros((1, 4, 4), bool)
            mask[0, row, :2] = True
            return [painted(state, box, now, mask, into, fresh, "Ada")]

        line.append(operations)

    def shown(state: EditState) -> list[int]:
        labels = state.patches.apply(voxels, (0, 0, 0))[0, :, 0].astype(np.uint64)
        return state.segments(labels).tolist()

    channel = edits.channel(PATH)
    paint(channel, 0, 2)
    edits.lines(PATH).add("branch", "try", "", "Ada")
    branch = edits.found(PATH, "try").edits
    paint(branch, 1, None)
    new = shown(branch.state)[1]
    paint(channel, 2, 0)
    undo(branch, 1)
    for each in (edits, Edits(Sqlite(database, RUNTIME()).edit_log())):
        for name, expected in {
            "main": [2, 2, 0, 4],
            "try": [1, new, 3, 4],
            "try@2": [2, new, 3, 4],
            "try@1": [2, 2, 3, 4],
            "main@1": [2, 2, 3, 4],
            "try@0": [1, 2, 3, 4],
        }.items():
            assert shown(each.found(PATH, name).state) == expected, name
        each.close()
