"""The contract of a log of edits as a test suite.

Derive a class named ``Test…`` from `DurableEditLogSuite`, or from `EditLogSuite` if the log is in
memory. Its fixture ``open_log`` opens a log in the same place each time it is called.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bfly.edits.channel import ChannelEdits
from bfly.edits.operation import Operation

if TYPE_CHECKING:
    from collections.abc import Callable

    from bfly.edits.log import EditLog

    OpenLog = Callable[[], EditLog]

__all__ = ["DurableEditLogSuite", "EditLogSuite", "operation"]

CHANNEL, OTHER = "/data/seg.h5", "/data/\udcff é/other.h5"

CHANGED = {
    "parts": np.array([5, 2**64 - 2], np.uint64),
    "part_sizes": np.array([1, 1], np.uint32),
    "part_names": np.array([5, 2**63, 4], np.uint64),
    "rests": np.array([4, 4], np.uint64),
    "edges": np.array([[4, 6]], np.uint64),
    "before": np.array([7], np.uint32),
    "into": np.array([1], np.uint32),
    "knows_before": True,
    "undoes": (1, 2),
    "key": "a ☕ key",
}
"""Fields of operations that part segments or take back others; these fit no segments."""

PATCHED = {
    "box": np.array([0, -1, 2, 2**40, 1, 3], np.int64),
    "pairs": np.array([[2**64 - 1, 0], [7, 9]], np.uint64),
    "runs": np.arange(256, dtype=np.uint8),
    "adopts": np.array([[7, 9]], np.uint64),
}
"""Fields of operations with a patch; these fit no voxels."""


def operation(number: int, **words: Any) -> Operation:
    """Create an operation with something in each of its fields."""
    given = {
        "kind": "merge",
        "who": "Ada ☕",
        "base": number - 1,
        "time": 1.5e9 + number / 7,
        "supervoxels": np.array([2**64 - 1, number, 7], np.uint64),
        "sizes": np.array([3], np.uint32),
        "names": np.array([2**64 - 1], np.uint64),
        "was": np.array([2**63, number, 7], np.uint64),
        "points": np.array([[-1, 2, 2**40]], np.int64),
        "splits": (f"{number}:1:0:9:0:9:0:9",),
    }
    return Operation(number, **{**given, **words})


def fields(operation: Operation) -> dict[str, Any]:
    """Return the fields of an operation as values that compare."""
    return {
        name: (value.dtype, value.tolist()) if isinstance(value, np.ndarray) else value
        for name, value in vars(operation).items()
    }


class EditLogSuite:
    """Tests that every log passes."""

    @pytest.fixture
    def open_log(self) -> OpenLog:
        """Return a function that opens the log."""
        raise NotImplementedError

    def test_what_is_appended_comes_back_as_it_was(self, open_log: OpenLog) -> None:
        """Each field is kept, for each channel separately, also when the log is opened again."""
        log = open_log()
        assert (log.last(CHANNEL), list(log.read(CHANNEL))) == (0, [])
        given = [operation(1), operation(2, kind="split"), operation(3, splits=(), who="")]
        given.append(operation(4, kind="undo", **CHANGED))
        given.append(operation(5, kind="patch", **PATCHED))
        with log.writing():
            for each in given:
                log.append(CHANNEL, each)
        with log.writing():
            log.append(OTHER, operation(1, who="other"))
        for again in (log, open_log()) if log.durable else (log,):
            assert [fields(o) for o in again.read(CHANNEL)] == [fields(o) for o in given]
            assert [fields(o) for o in again.read(CHANNEL, 2)] == [fields(o) for o in given[2:]]
            assert list(again.read(CHANNEL, 5)) == []
            assert [fields(o) for o in again.get(CHANNEL, [1, 3])] == [
                fields(given[i]) for i in (0, 2)
            ]
            assert list(again.get(CHANNEL, [])) == []
            assert [o.who for o in again.read(OTHER)] == ["other"]
            assert (again.last(CHANNEL), again.last(OTHER), again.last("/none")) == (5, 1, 0)

    def test_after_an_error_nothing_is_there(self, open_log: OpenLog) -> None:
        """A transaction is applied whole or not at all."""
        log = open_log()

        def append(*numbers: int, fail: bool = False) -> None:
            with log.writing():
                for number in numbers:
                    log.append(CHANNEL, operation(number))
                assert log.last(CHANNEL) == numbers[-1]
                assert not fail

        for before in (0, 2):
            with pytest.raises(AssertionError):
                append(before + 1, before + 2, fail=True)
            assert log.last(CHANNEL) == before == len(list(log.read(CHANNEL)))
            assert log.snapshot(CHANNEL, 9)[0] == 0
            append(before + 1, before + 2)

    def test_many_operations_come_in_their_order(self, open_log: OpenLog) -> None:
        """More operations than are fetched at once."""
        log = open_log()
        with log.writing():
            for number in range(1, 701):
                log.append(CHANNEL, operation(number))
        assert [o.id for o in log.read(CHANNEL)] == list(range(1, 701))
        assert [o.id for o in log.read(CHANNEL, 444)] == list(range(445, 701))
        odd = list(range(1, 701, 2))
        assert [o.id for o in log.get(CHANNEL, odd)] == odd

    def test_writers_follow_each_other(self, open_log: OpenLog) -> None:
        """Numbers have no gap while several threads write."""
        log = open_log()
        logs = [log, *(open_log() for _ in range(2))] if log.durable else [log]

        def write(who: int) -> None:
            for _ in range(10):
                mine = logs[who % len(logs)]
                with mine.writing():
                    mine.append(CHANNEL, operation(mine.last(CHANNEL) + 1, who=str(who)))

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(write, range(6)))
        kept = list(log.read(CHANNEL))
        assert [o.id for o in kept] == list(range(1, 61))
        assert sorted(o.who for o in kept) == sorted(str(i) for i in range(6) for _ in range(10))

    def test_two_that_share_it_have_the_same_segments(self, open_log: OpenLog) -> None:
        """Channels built on the log agree."""
        log = open_log()
        first, second = (
            ChannelEdits(CHANNEL, each) for each in (log, open_log() if log.durable else log)
        )

        def merge(*ids: int) -> Callable[[Any], list[Operation]]:
            def operations(state: Any) -> list[Operation]:
                words: dict[str, Any] = {
                    "supervoxels": np.array(ids, np.uint64),
                    "names": np.array(ids[:1], np.uint64),
                }
                sizes = np.array([len(ids)], np.uint32)
                return [Operation(state.position + 1, "merge", sizes=sizes, **words)]

            return operations

        first.append(merge(1, 2))
        second.append(merge(3, 2))
        first.append(merge(4, 5))
        second.catch_up()
        for channel in (first, second):
            segments = channel.state.segments(np.arange(1, 7, dtype=np.uint64))
            assert segments.tolist() == [3, 3, 3, 4, 4, 6]
            assert channel.state.position == 3
        assert first.at(1).segments(np.arange(1, 4, dtype=np.uint64)).tolist() == [1, 1, 3]


class DurableEditLogSuite(EditLogSuite):
    """Tests that a log passes which other processes read and write."""

    def test_half_a_snapshot_is_none(self, open_log: OpenLog) -> None:
        """The latest whole snapshot counts."""
        log = open_log()
        assert log.snapshot(CHANNEL, 10) == (0, ())
        with log.writing():
            log.append(CHANNEL, operation(1))
        parts = [b"a", b"b" * 100_000, b"c"]
        log.keep_snapshot(CHANNEL, 4, parts)
        log.keep_snapshot(CHANNEL, 8, parts[:1])
        log.keep_snapshot(CHANNEL, 8, [b"again"])

        def some(*given: bytes) -> Any:
            yield from given
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            log.keep_snapshot(CHANNEL, 9, some(b"x"))
        for most, expected in (
            (3, (0, [])),
            (4, (4, parts)),
            (7, (4, parts)),
            (99, (8, [b"again"])),
        ):
            number, found = open_log().snapshot(CHANNEL, most)
            assert (number, list(found)) == expected
        assert open_log().snapshot(OTHER, 99)[0] == 0

    def test_one_hears_of_another(self, open_log: OpenLog) -> None:
        """Waiting ends when another process appends."""
        log = open_log()
        log.wait(0)
        log.wait(0)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(log.wait, 60)
            other = open_log()
            with other.writing():
                other.append(CHANNEL, operation(1))
            waiting.result(timeout=10)
        assert log.last(CHANNEL) == 1
        log.close()
        log.wait(0)
