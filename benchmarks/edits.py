"""Edits: a relabelled chunk beside the same one as stored, and after merges."""

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
from bfly.edits.merge_table import added
from bfly.edits.message import Save
from bfly.keywords import RUNTIME
from bfly.queries.data import DataQuery

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.data import Volume

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["ELSEWHERE", "HERE", "ONCE", "Edited", "measure"]

SIDE = 64

CHUNK = "/pre/e::s::d/{}/0/0-64_0-64_0-64"

LOG = "chunk.db"

EDITED, WITHOUT = "edited", "without"
ONCE = "without, a merge of another channel before each"
ELSEWHERE, HERE = "after a merge elsewhere", "after a merge in it"

REQUESTS, MERGES = 100, 10
"""In a round."""


@dataclass
class Edited:
    """What was measured.

    Parameters
    ----------
    chunk_edges : int
        How many supervoxels are merged.
    answers : Samples
        Chunks of 64³ uint64 a second over HTTP, of a channel with edits and of one without, whose
        voxels are the same.
    tiles : Samples
        The same from the cache of tiles, without the one of answers; and after an edit elsewhere
        and in the chunk.
    """

    chunk_edges: int
    answers: Samples = field(default_factory=dict)
    tiles: Samples = field(default_factory=dict)


def measure(volume: Volume, work: Path, chunk_edges: int, rounds: int) -> Edited:
    """Measure.

    Parameters
    ----------
    volume : Volume
        Its labels are merged.
    work : Path
        An empty folder.
    chunk_edges, rounds : int
        As above; how many samples are taken of each way to ask for a chunk.

    Raises
    ------
    WrongAnswer
        A voxel is not what it should be.
    """
    result = Edited(chunk_edges)
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
