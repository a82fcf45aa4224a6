"""A long log of edits: open it, merge, split, undo, root ids and lineage."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.measure import WrongAnswer
from bfly.databases.sqlite import Sqlite
from bfly.edits.channel import ChannelEdits
from bfly.edits.cut import cut
from bfly.edits.merge_table import added
from bfly.edits.message import Save
from bfly.edits.operation import Operation
from bfly.edits.undo import undone
from bfly.keywords import RUNTIME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bfly.edits.log import EditLog
    from bfly.edits.state import EditState

    Ids = np.ndarray[Any, np.dtype[np.uint64]]

__all__ = ["LongLog", "measure"]

CHANNEL = "/labels.h5"

OF_SEGMENT = 4
"""Supervoxels of a segment of the imported table."""

CHAIN = 10_000
"""Operations that lead to one root id, at most a tenth of all."""

MERGES, TAKEN_BACK, ASKED, ROUNDS = 1000, 200, 1_000_000, 7


@dataclass
class LongLog:
    """What was measured; all in seconds.

    Parameters
    ----------
    supervoxels, operations : int
        Rows of an imported table, and merges after it.
    after : int
        Operations after the snapshot.
    opens : list of float
        To have the segments in memory, from a snapshot and the operations after it.
    fsyncs, merges, undos, cuts : list of float
        A page forced to the disk, each merge of two segments, taking one back, and a split by a
        list of supervoxels.
    undo_of_many : dict
        How many merges were taken back at once → that.
    roots, segments, lineage : list of float
        Root ids and segments of a million supervoxels, and the operations that led to one root id.
    chain : int
        How many these are.
    nbytes : int
        Memory of the segments.
    """

    supervoxels: int
    operations: int
    after: int = 0
    opens: list[float] = field(default_factory=list)
    fsyncs: list[float] = field(default_factory=list)
    merges: list[float] = field(default_factory=list)
    undos: list[float] = field(default_factory=list)
    cuts: list[float] = field(default_factory=list)
    undo_of_many: dict[int, float] = field(default_factory=dict)
    roots: list[float] = field(default_factory=list)
    segments: list[float] = field(default_factory=list)
    lineage: list[float] = field(default_factory=list)
    chain: int = 0
    nbytes: int = 0


def measure(work: Path, supervoxels: int, operations: int) -> LongLog:
    """Measure in an empty folder.

    Raises
    ------
    WrongAnswer
        A segment is not what it should be.
    """
    result = LongLog(supervoxels, operations)
    log = Sqlite(str(work / "edits.db"), RUNTIME()).edit_log()
    ids = np.random.default_rng(0).permutation(np.arange(1, supervoxels + 1, dtype=np.uint64))
    named = ids[np.arange(supervoxels) // OF_SEGMENT * OF_SEGMENT]
    ChannelEdits(CHANNEL, log).append(added(ids, named, "bench"))
    result.chain = min(CHAIN, operations // 10)
    _append(log, _merges(log, ids[::OF_SEGMENT], operations, result.chain))
    edits = ChannelEdits(CHANNEL, log)
    edits.keep_now()
    result.after = min(10_000, operations // 10)
    _append(log, _pairs(edits, ids, result.after))
    for _ in range(3):
        result.opens.append(_timed(lambda: ChannelEdits(CHANNEL, log)))
    edits = ChannelEdits(CHANNEL, log)
    result.nbytes = edits.nbytes
    if len(edits.state.segment_of(int(ids[0]))) < result.chain * OF_SEGMENT:
        raise WrongAnswer("the segment of many merges")
    _questions(edits, ids, result)
    result.fsyncs = [_fsync(work / "page") for _ in range(MERGES)]
    _changes(edits, ids, result)
    return result


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _fsync(path: Path) -> float:
    with open(path, "ab", buffering=0) as file:
        file.write(bytes(4096))
        return _timed(lambda: os.fsync(file.fileno()))


def _append(log: EditLog, operations: Iterator[Operation]) -> None:
    with log.writing():
        for operation in operations:
            log.append(CHANNEL, operation)


def _merges(log: EditLog, names: Ids, count: int, chain: int) -> Iterator[Operation]:
    """Yield merges of pairs of segments, and then of single ones with the first pair."""
    state = ChannelEdits(CHANNEL, log).state
    numbers, number, last = state.numbers(names).tolist(), state.position, state.last_number
    pairs = count - chain
    first = 0
    for pair in np.random.default_rng(1).permutation(pairs).tolist():
        number, last = number + 1, last + 1
        own = [numbers[2 * pair], numbers[2 * pair + 1]]
        yield _merge(number, names[[2 * pair, 2 * pair + 1]], own)
        first = last if pair == 0 else first
    for other in range(2 * pairs, 2 * pairs + chain):
        number, last = number + 1, last + 1
        yield _merge(number, names[[0, other]], [first, numbers[other]])
        first = last


def _merge(number: int, pair: Ids, numbers: list[int]) -> Operation:
    return Operation(
        number,
        "merge",
        "bench",
        number - 1,
        supervoxels=pair,
        sizes=np.array([2], np.uint32),
        names=pair[:1],
        was=pair,
        before=np.array(sorted(numbers), np.uint32),
        into=np.zeros(2, np.uint32),
        knows_before=True,
    )


def _pairs(edits: ChannelEdits, ids: Ids, count: int) -> Iterator[Operation]:
    """Yield merges of segments that no other merge has: those at the end of the table."""
    state = edits.state
    names = ids[::OF_SEGMENT][-2 * count :]
    numbers = state.numbers(names).tolist()
    for place in range(count):
        two = slice(2 * place, 2 * place + 2)
        yield _merge(state.position + 1 + place, names[two], numbers[two])


def _questions(edits: ChannelEdits, ids: Ids, result: LongLog) -> None:
    asked = np.random.default_rng(2).choice(ids, ASKED)
    root = edits.state.numbers(ids[:1]).tolist()
    for _ in range(ROUNDS):
        result.roots.append(_timed(lambda: edits.state.numbers(asked)))
        result.segments.append(_timed(lambda: edits.state.segments(asked)))
        result.lineage.append(_timed(lambda: edits.history.lineage.operations_of(root)))
    if len(edits.history.lineage.operations_of(root)) < result.chain:
        raise WrongAnswer("the lineage of many merges")


def _changes(edits: ChannelEdits, ids: Ids, result: LongLog) -> None:
    random = np.random.default_rng(3)
    # A segment that 10,000 operations led to is not a typical one.
    large = edits.state.segment_of(int(ids[0]))
    others = np.setdiff1d(ids, large)
    for pair in random.choice(others, (MERGES, 2)).tolist():
        wanted = Save.parse({"merge": [list(map(str, pair))]})

        def plan(state: EditState, wanted: Save = wanted) -> Iterator[Operation]:
            return wanted.operations(state, "bench", None)

        result.merges.append(_timed(lambda plan=plan: edits.append(plan)))
        if len(set(edits.state.segments(np.array(pair, np.uint64)).tolist())) != 1:
            raise WrongAnswer(f"the merge of {pair}")
    fresh, last = 2 * len(ids), edits.state.position
    for number in range(last, last - TAKEN_BACK, -1):
        result.undos.append(_taken_back(edits, [number], fresh))
    last -= TAKEN_BACK
    for count in (50, 100, 200):
        result.undo_of_many[count] = _taken_back(edits, range(last - count + 1, last + 1), fresh)
        last -= count
    for one in random.choice(others, TAKEN_BACK).tolist():
        members = edits.state.segment_of(one)
        part = members[: len(members) // 2]
        result.cuts.append(
            _timed(
                lambda part=part: edits.append(
                    lambda state: [cut(state, edits.history, [part], fresh, "")]
                )
            )
        )
        if np.array_equal(edits.state.segment_of(int(part[0])), members):
            raise WrongAnswer(f"the split of {one}")


def _taken_back(edits: ChannelEdits, numbers: Any, fresh: int) -> float:
    return _timed(
        lambda: edits.append(
            lambda state: [undone(state, edits.history, numbers, fresh, who="bench")]
        )
    )
