"""Edits: a relabelled chunk beside the same one as stored, merges at ten million edges."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from benchmarks.measure import Samples, WrongAnswer, interleaved
from benchmarks.peers import HOST, bfly
from benchmarks.serving import get, load
from bfly.core.core import Core
from bfly.databases.nodb import Nodb
from bfly.databases.sqlite import Sqlite
from bfly.edits.channel import ChannelEdits
from bfly.edits.cut import cut
from bfly.edits.merge_table import added
from bfly.edits.message import Save
from bfly.edits.undo import undone
from bfly.keywords import RUNTIME
from bfly.queries.data import DataQuery

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.data import Volume
    from bfly.edits.operation import Operation
    from bfly.edits.state import EditState

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["Edited", "measure"]

SIDE = 64

CHUNK = "/pre/e::s::d/{}/0/0-64_0-64_0-64"

LOG = "chunk.db"

EDITED, WITHOUT = "edited", "without"
ONCE = "without, a merge of another channel before each"
ELSEWHERE, HERE = "after a merge elsewhere", "after a merge in it"

REQUESTS, MERGES, TAKEN_BACK = 100, 10, 200
"""In a round."""


@dataclass
class Edited:
    """What was measured.

    Parameters
    ----------
    edges, chunk_edges : int
        How many supervoxels are merged where merges are timed, and where chunks are.
    answers : Samples
        Chunks of 64³ uint64 a second over HTTP, of a channel with edits and of one without, whose
        voxels are the same.
    tiles : Samples
        The same from the cache of tiles, without the one of answers; and after an edit elsewhere
        and in the chunk.
    load : float
        Seconds until the segments are in memory again.
    merges, undos, splits : list of float
        Seconds of each merge of two segments, of taking each of these back, and of each split of a
        segment by a list of supervoxels; on disk.
    roots : float
        Seconds for the root ids of a million supervoxels.
    nbytes : int
        The memory of the segments.
    """

    edges: int
    chunk_edges: int
    answers: Samples = field(default_factory=dict)
    tiles: Samples = field(default_factory=dict)
    load: float = 0
    merges: list[float] = field(default_factory=list)
    undos: list[float] = field(default_factory=list)
    splits: list[float] = field(default_factory=list)
    roots: float = 0
    nbytes: int = 0


def measure(volume: Volume, work: Path, edges: int, chunk_edges: int, rounds: int) -> Edited:
    """Measure.

    Parameters
    ----------
    volume : Volume
        Its labels are merged.
    work : Path
        An empty folder.
    edges, chunk_edges, rounds : int
        As above; how many samples are taken of each way to ask for a chunk.

    Raises
    ------
    WrongAnswer
        A voxel, or a segment after the merges, is not what it should be.
    """
    result = Edited(edges, chunk_edges)
    with h5py.File(volume.labels) as file:
        stored = file["main"][64:128, 64:128, 64:128]
    supervoxels, segments = _table(chunk_edges)
    lookup = np.arange(int(max(stored.max(), supervoxels.max())) + 1).astype(stored.dtype)
    lookup[supervoxels] = segments
    merged = lookup[stored]
    paths = {EDITED: str(work / "edited.h5"), WITHOUT: str(work / "merged.h5")}
    for path, voxels in zip(paths.values(), (stored, merged), strict=True):
        with h5py.File(path, "w") as file:
            file.create_dataset("main", data=voxels, chunks=voxels.shape, compression="gzip")
    log = Sqlite(str(work / LOG), RUNTIME()).edit_log()
    ChannelEdits(paths[EDITED], log).append(added(supervoxels, segments, "bench"))
    result.answers = _answers(volume, work, paths, merged.tobytes(), rounds)
    result.tiles = _tiles(work, paths, stored, lookup, rounds)
    _merges(work, result)
    return result


def _table(count: int, start: int = 1) -> tuple[Voxels, Voxels]:
    """Give supervoxels in segments of ten, none of which lies beside another."""
    supervoxels = np.random.default_rng(0).permutation(np.arange(start, start + count, dtype="u8"))
    return supervoxels, supervoxels[np.arange(count) // 10 * 10]


def _answers(
    volume: Volume, work: Path, paths: dict[str, str], truth: bytes, rounds: int
) -> Samples:
    channels = [{"name": name, "path": path} for name, path in paths.items()]
    samples = [{"name": "s", "datasets": [{"name": "d", "path": "/", "channels": channels}]}]
    words = {"experiments": [{"name": "e", "samples": samples}], "edit-path": str(work / LOG)}
    (work / "served").mkdir()
    with bfly(work / "served", {"bfly": words}) as port:
        urls = {name: f"http://{HOST}:{port}{CHUNK.format(name)}" for name in paths}
        if wrong := [name for name, url in urls.items() if get(url) != truth]:
            raise WrongAnswer(f"the chunk of {wrong}")
        return load("64³ uint64 chunk", volume, truth, urls, rounds, seconds=1).samples


def _tiles(
    work: Path, paths: dict[str, str], stored: Voxels, lookup: Voxels, rounds: int
) -> Samples:
    runtime = RUNTIME()
    runtime.DB.EDIT.VALUE = str(work / LOG)
    core = Core(Nodb("", runtime))
    edits = core.edits.channel(paths[EDITED])
    without = lookup[stored]
    random = np.random.default_rng(1)
    here = random.permutation(np.unique(without[without > 0])).tolist()
    elsewhere = np.setdiff1d(lookup[1:], here)[: 2 * len(here)].tolist()

    def ask(name: str, truth: bytes) -> float:
        query = DataQuery(path=paths[name], format="raw", depth=SIDE, height=SIDE, width=SIDE)
        start = time.perf_counter()
        answer = core.get_buffer(query)
        took = time.perf_counter() - start
        if bytes(answer) != truth:
            raise WrongAnswer(f"the chunk of {paths[name]}")
        return took

    def warm(name: str) -> float:
        truth = (lookup[stored] if name == EDITED else without).tobytes()
        return 1 / median(ask(name, truth) for _ in range(REQUESTS))

    def merged(names: list[int], asked: str = EDITED) -> float:
        took = []
        for _ in range(MERGES):
            pair = names.pop(), names.pop()
            wanted = Save.parse({"merge": [list(map(str, pair))]})
            edits.append(lambda state, wanted=wanted: wanted.operations(state, "bench", None))
            lookup[np.isin(lookup, pair)] = pair[0]
            truth = lookup[stored] if asked == EDITED else without
            took.append(ask(asked, truth.tobytes()))
        return 1 / median(took)

    ways = {
        WITHOUT: partial(warm, WITHOUT),
        EDITED: partial(warm, EDITED),
        ONCE: partial(merged, elsewhere, WITHOUT),
        ELSEWHERE: partial(merged, elsewhere),
        HERE: partial(merged, here),
    }
    found = interleaved(rounds, ways)
    core.edits.close()
    return found


def _merges(work: Path, result: Edited) -> None:
    database = Sqlite(str(work / "edits.db"), RUNTIME())
    supervoxels, segments = _table(result.edges)
    ChannelEdits("/labels.h5", database.edit_log()).append(added(supervoxels, segments, "bench"))
    start = time.perf_counter()
    edits = ChannelEdits("/labels.h5", database.edit_log())
    result.load = time.perf_counter() - start
    if not np.array_equal(edits.state.segments(supervoxels), segments):
        raise WrongAnswer("the segments after a start")
    result.nbytes = edits.nbytes
    random = np.random.default_rng(1)
    for pair in random.choice(supervoxels, (1000, 2)).tolist():
        start = time.perf_counter()
        wanted = Save.parse({"merge": [list(map(str, pair))]})
        state = edits.append(lambda state, wanted=wanted: wanted.operations(state, "bench", None))
        result.merges.append(time.perf_counter() - start)
        if len(set(state.segments(np.array(pair, "u8")).tolist())) != 1:
            raise WrongAnswer(f"the merge of {pair}")
    _changes(edits, supervoxels, random, result)
    asked = random.choice(supervoxels, 1_000_000)
    start = time.perf_counter()
    edits.state.numbers(asked)
    result.roots = time.perf_counter() - start


def _changes(
    edits: ChannelEdits, supervoxels: Voxels, random: np.random.Generator, result: Edited
) -> None:
    """Take back the last merges, and split segments."""
    fresh, last = 2 * len(supervoxels), edits.state.position

    def timed(plan: Callable[[EditState], Operation]) -> float:
        start = time.perf_counter()
        edits.append(lambda state: [plan(state)])
        return time.perf_counter() - start

    log = edits.history
    for number in range(last, last - TAKEN_BACK, -1):
        taken = timed(lambda state, number=number: undone(state, log, [number], fresh, who=""))
        result.undos.append(taken)
    for one in random.choice(supervoxels, TAKEN_BACK).tolist():
        members = edits.state.segment_of(one)
        part = members[: len(members) // 2]
        result.splits.append(
            timed(lambda state, part=part: cut(state, edits.history, [part], fresh, ""))
        )
        if np.array_equal(edits.state.segment_of(int(part[0])), members):
            raise WrongAnswer(f"the split of {one}")
