"""Several writers at once: merges, splits and undo, in two processes' views of one log."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bfly.databases.postgres import Postgres
from bfly.databases.sqlite import Sqlite
from bfly.edits.channel import ChannelEdits
from bfly.edits.cut import cut
from bfly.edits.merge import merged
from bfly.edits.undo import undone
from bfly.errors import BadRequest, Conflict
from bfly.keywords import RUNTIME

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bfly.edits.log import EditLog

MOST = 60
FRESH = 1000


@pytest.fixture(params=["Sqlite", "Postgres"])
def open_log(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], EditLog]:
    if request.param == "Sqlite":
        return lambda: Sqlite(str(tmp_path / "bfly.db"), RUNTIME()).edit_log()
    database = request.getfixturevalue("new_database")
    return lambda: Postgres(database, RUNTIME()).edit_log()


def work(channel: ChannelEdits, seed: int) -> list[int]:
    """Make random edits; return the numbers of those that were acknowledged."""
    random = np.random.default_rng(seed)
    done: list[int] = []

    def plan(state: Any) -> list[Any]:
        kind, last = random.random(), state.position
        if kind < 0.2 and last:
            numbers = [int(random.integers(1, last + 1))]
            return [undone(state, channel.history, numbers, FRESH, who=str(seed))]
        one = int(random.integers(1, MOST))
        segment = state.segment_of(one)
        if kind < 0.5 and len(segment) > 1:
            part = random.permutation(segment)[: random.integers(1, len(segment))]
            return [cut(state, channel.history, [np.sort(part)], FRESH, str(seed))]
        operation = merged(state, random.integers(1, MOST, 2).tolist(), str(seed))
        return [operation] if operation else []

    while len(done) < 25:
        try:
            before = channel.state.position
            done.append(channel.append(plan).position)
            assert done[-1] >= before
        except (BadRequest, Conflict):
            continue
    return done


def titles(state: Any) -> Any:
    everything = np.arange(MOST, dtype=np.uint64)
    return state.segments(everything).tolist(), state.numbers(everything).tolist()


def test_writers_of_two_processes_agree(open_log: Callable[[], EditLog]) -> None:
    """Nothing that was acknowledged is lost, and each state is the same for all."""
    channels = [ChannelEdits("/data/seg.h5", open_log()) for _ in range(2)]
    with ThreadPoolExecutor(6) as pool:
        acknowledged = pool.map(lambda seed: work(channels[seed % 2], seed), range(6))
    last = max(number for numbers in acknowledged for number in numbers)
    for channel in channels:
        channel.catch_up()
    fresh = ChannelEdits("/data/seg.h5", open_log())
    assert fresh.state.position >= last
    assert titles(channels[0].state) == titles(channels[1].state) == titles(fresh.state)
    assert [each.id for each in fresh.operations()] == list(range(1, fresh.state.position + 1))
    # Each segment has one name, and its members are those that have it.
    names, _ = titles(fresh.state)
    for one in range(1, MOST):
        members = fresh.state.segment_of(one).tolist()
        assert members == [each for each in range(MOST) if names[each] == names[one]]
    for position in (1, last // 2, last - 1):
        assert titles(channels[0].at(position)) == titles(fresh.at(position))
