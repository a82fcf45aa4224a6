"""Edits: a relabelled chunk beside the same one as stored, merges at ten million edges."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from benchmarks.measure import Samples, WrongAnswer
from bfly.core import Core
from bfly.databases.nodb import Nodb
from bfly.databases.sqlite import Sqlite
from bfly.edits.channel import ChannelEdits
from bfly.edits.merge_table import added
from bfly.edits.message import Save
from bfly.keywords import RUNTIME
from bfly.queries.data import DataQuery

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Edited", "measure"]

SIDE = 64


@dataclass
class Edited:
    """What was measured.

    Parameters
    ----------
    edges, chunk_edges : int
        How many supervoxels are merged where merges are timed, and where chunks are.
    chunks : Samples
        Chunks of 64³ uint64 a second from the cache of tiles, by what is asked for.
    load : float
        Seconds until the segments are in memory again.
    merges : list of float
        Seconds of each merge of two segments, on disk.
    nbytes : int
        The memory of the segments.
    """

    edges: int
    chunk_edges: int
    chunks: Samples = field(default_factory=dict)
    load: float = 0
    merges: list[float] = field(default_factory=list)
    nbytes: int = 0


def measure(labels: str, work: Path, edges: int, chunk_edges: int, rounds: int) -> Edited:
    """Measure.

    Parameters
    ----------
    labels : str
        An HDF5 file of labels.
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
    _chunks(labels, result, rounds)
    _merges(work, result)
    return result


def _table(count: int, start: int = 1) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Give supervoxels in segments of ten, none of which lies beside another."""
    supervoxels = np.random.default_rng(0).permutation(np.arange(start, start + count, dtype="u8"))
    return supervoxels, supervoxels[np.arange(count) // 10 * 10]


def _chunks(labels: str, result: Edited, rounds: int) -> None:
    core = Core(Nodb("", RUNTIME()))
    with h5py.File(labels) as file:
        stored = file["main"][64:128, 64:128, 64:128]
    supervoxels, segments = _table(result.chunk_edges)
    core.edits.channel(labels).append(added(supervoxels, segments, "bench"))
    lookup = np.arange(int(max(stored.max(), supervoxels.max())) + 1).astype(stored.dtype)
    lookup[supervoxels] = segments
    box = {"z": 64, "y": 64, "x": 64, "depth": SIDE, "height": SIDE, "width": SIDE}
    ways = {"supervoxels": stored, "segments": lookup[stored]}
    for _ in range(rounds):
        for way, truth in ways.items():
            query = DataQuery(path=labels, format="raw", labels=way, **box)
            if bytes(core.get_data(query)) != truth.tobytes():
                raise WrongAnswer(f"the {way} of {labels}")
            start, count = time.perf_counter(), 0
            while (took := time.perf_counter() - start) < 0.5:
                core.get_data(DataQuery(path=labels, format="raw", labels=way, **box))
                count += 1
            result.chunks.setdefault(way, []).append(count / took)


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
    for pair in np.random.default_rng(1).choice(supervoxels, (1000, 2)).tolist():
        start = time.perf_counter()
        wanted = Save.parse({"merge": [list(map(str, pair))]})
        state = edits.append(lambda state, wanted=wanted: wanted.operations(state, "bench", None))
        result.merges.append(time.perf_counter() - start)
        if len(set(state.segments(np.array(pair, "u8")).tolist())) != 1:
            raise WrongAnswer(f"the merge of {pair}")
