"""Logs of earlier versions, and snapshots."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bfly.databases.sqlite import Sqlite
from bfly.edits import channel as channels
from bfly.edits import merge_table
from bfly.edits.channel import ChannelEdits
from bfly.edits.cut import cut
from bfly.edits.log import MemoryLog
from bfly.edits.merge_table import added
from bfly.edits.message import Save
from bfly.edits.undo import redone, undone
from bfly.errors import Absent
from bfly.keywords import RUNTIME

if TYPE_CHECKING:
    from bfly.edits.operation import Operation

FRESH = 1000
LOG = Path(__file__).parent / "logs" / "first.db"
"""Made by the version without root ids: two merges, a merge of a segment, a table of two segments,
a merge into it, a snapshot, a stored split, a merge, and a table of one segment."""


def ids(*numbers: int) -> Any:
    return np.array(numbers, np.uint64)


def opened(path: Path) -> ChannelEdits:
    return ChannelEdits("/data/seg.h5", Sqlite(str(path), RUNTIME()).edit_log())


def titles(channel: ChannelEdits) -> list[tuple[int, int, int]]:
    supervoxels, names = channel.state.table()
    numbers = channel.state.numbers(supervoxels).tolist()
    return list(zip(supervoxels.tolist(), names.tolist(), numbers, strict=True))


def test_an_old_log_means_the_same(tmp_path: Path) -> None:
    """Its segments, its splits and each of its states; and it can be gone on with."""
    shutil.copy(LOG, tmp_path / "bfly.db")
    channel = opened(tmp_path / "bfly.db")
    assert channel.state.position == 7
    groups = {5: {3, 4, 5}, 7: {20, 21}, 30: {1, 2, 10, 11, 12, 30, 31}, 40: {40, 41}}
    found = np.transpose(channel.state.table()).tolist()
    assert sorted(found) == sorted([one, name] for name, own in groups.items() for one in own)
    assert channel.state.splits == ("4:1:0:9:0:9:0:9",)
    assert channel.at(1).segments(ids(1, 2, 3, 4, 5)).tolist() == [1, 1, 3, 3, 5]
    assert channel.at(4).segments(ids(1, 2, 10, 11, 12)).tolist() == [2] * 5
    # Two lists, one, two, one, none, one, and one.
    assert [channel.history.lineage.made(n) for n in range(1, 8)] == [
        range(1, 3),
        range(3, 4),
        range(4, 6),
        range(6, 7),
        range(7, 7),
        range(7, 8),
        range(8, 9),
    ]
    assert channel.history.lineage.operations_of([7]) == [1, 3, 4, 6]
    channel.append(lambda state: [undone(state, channel.history, [6], FRESH, who="Di")])
    assert channel.state.segments(ids(1, 12, 30, 31)).tolist() == [2, 2, 30, 31]
    channel.append(lambda state: [undone(state, channel.history, [3, 4], FRESH, who="Di")])
    found = channel.state.segments(ids(1, 2, 10, 11, 12, 20, 21)).tolist()
    assert found == [1, 1, 10, 11, 12, 20, 21]
    assert titles(opened(tmp_path / "bfly.db")) == titles(channel)


def test_a_snapshot_has_all_that_the_log_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Segments, names, numbers, lineage and what is taken back, without the log before it."""
    monkeypatch.setattr(channels, "OFTEN", 5)
    path = tmp_path / "bfly.db"
    channel = opened(path)
    random = np.random.default_rng(3)

    def change(state: Any) -> list[Operation]:
        members = random.choice(30, 2, replace=False) + 1
        segment = state.segment_of(int(members[0]))
        if len(segment) > 3 and random.random() < 0.5:
            part = segment[: random.integers(1, len(segment))]
            return [cut(state, channel.history, [part], FRESH, "Bo")]
        return list(Save((tuple(members.tolist()),), ()).operations(state, "Ada", None))

    while channel.state.position < 40:
        channel.append(change)
    channel.append(lambda state: [undone(state, channel.history, [40], FRESH, who="Cy")])
    channel.append(lambda state: [redone(state, channel.history, [40], FRESH, who="Cy")])
    channel._keep_now(channel.state)
    again = opened(path)
    assert again._replay.snapshot == channel.state.position == 42
    assert titles(again) == titles(channel)
    for lineage in (again.history.lineage, channel.history.lineage):
        assert [lineage.replaced(n) for n in range(1, 43)] == [
            channel.history.lineage.replaced(n) for n in range(1, 43)
        ]
        assert lineage.made(42) == channel.history.lineage.made(42)
    assert again.history.undone == channel.history.undone
    for each in (again, channel):
        each.catch_up()
        number = int(each.state.numbers(ids(1))[0])
        assert each.history.lineage.operations_of([number])[-1] <= 42
    # What the first operation made of a supervoxel is told by the log, not by the segments.
    firsts = [(each.history.first_number(n), n) for n in range(1, 31) for each in (channel, again)]
    assert firsts[::2] == firsts[1::2]
    assert sum(number > 0 for number, _ in firsts) > 40
    again.append(lambda state: [undone(state, again.history, [42], FRESH, who="Cy")])
    channel.catch_up()
    assert titles(again) == titles(channel)
    assert [again.at(n).table()[1].tolist() for n in (0, 7, 41)] == [
        channel.at(n).table()[1].tolist() for n in (0, 7, 41)
    ]
    with pytest.raises(Absent, match="There is no operation 44; the last one is 43"):
        again.history.operations([44])


def test_a_table_in_several_operations_has_one_lineage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its parts continue each other, and replace the segments that were there."""
    monkeypatch.setattr(merge_table, "ROWS", 3)
    log = MemoryLog()
    channel = ChannelEdits("/seg", log)
    channel.append(lambda state: Save(((5, 6), (20, 21)), ()).operations(state, "Ada", None))
    rows, segments = ids(1, 2, 3, 4, 5, 7, 8, 20), ids(1, 1, 1, 1, 1, 7, 7, 20)
    channel.append(added(rows, segments, "Cy"))
    assert channel.state.position == 4
    again = ChannelEdits("/seg", log)
    assert titles(again) == titles(channel)
    for each in (channel, again):
        lineage = each.history.lineage
        number = int(each.state.numbers(ids(1))[0])
        assert lineage.operations_of([number]) == [1, 2, 3]
        assert lineage.later([1]) == [3]
        assert lineage.later([2]) == [4]
        assert lineage.replaced_by(int(lineage.made(2)[0])) == 3
