"""Splits by points in boxes of 512³ voxels of FIB-25, and one cut beside other libraries.

FIB-25 has 250³ voxels, which are continued as in a mirror.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from benchmarks.data import shared_data
from benchmarks.indexing import built
from benchmarks.measure import Samples, interleaved
from benchmarks.splitting_pairs import Tissue, joined, tissue
from benchmarks.splitting_peers import libraries
from bfly.core.core import Core
from bfly.core.split_points import PointSplit
from bfly.databases.nodb import Nodb
from bfly.edits.channel import ChannelEdits
from bfly.edits.log import MemoryLog
from bfly.edits.merge_table import added
from bfly.keywords import RUNTIME
from bfly.queries.data import DataQuery
from bfly.segments.segments import Segments
from bfly.splitting.contacts import contacts
from bfly.splitting.edges import contact_edges
from bfly.splitting.max_flow import Graph
from bfly.splitting.refusal import SplitRefused
from bfly.splitting.runs import runs_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.splitting_pairs import Joined, Voxels

__all__ = ["BoxCuts", "measure"]

SIDE, CHUNK = 512, (64, 64, 64)


@dataclass
class BoxCuts:
    """What was measured.

    Parameters
    ----------
    data : str
        What was split.
    splits : list of float
        Seconds from points to the parts, for each pair of bodies.
    edges : int
        Contacts of the largest segment in the box.
    graphs : Samples
        Seconds to cut these, for each library.
    skipped : str
        Why there is nothing.
    """

    data: str = "FIB-25, mirrored; two bodies joined, three points in each"
    splits: list[float] = field(default_factory=list)
    edges: int = 0
    graphs: Samples = field(default_factory=dict)
    skipped: str = ""


def measure(pairs: int, rounds: int) -> BoxCuts:
    """Measure so many pairs of bodies; so many rounds of each library."""
    result = BoxCuts()
    if not (shared_data() / "fib25").is_dir():
        result.skipped = "FIB-25 is missing"
        return result
    data = tissue()
    chosen = list(joined(data, pairs))
    more = [(0, SIDE - side) for side in data.supervoxels.shape]
    voxels = np.pad(data.supervoxels, more, mode="symmetric").astype(np.uint32)
    with tempfile.TemporaryDirectory(prefix="bfly-bench-") as work:
        path = str(Path(work) / "labels.h5")
        with h5py.File(path, "w") as file:
            file.create_dataset("main", data=voxels, chunks=CHUNK, compression="gzip")
        index = built(path, Path(work) / "index")
        core = Core(Nodb("", RUNTIME()))
        query = DataQuery(path=path, kind="segmentation")
        volume, _ = core.basis(query)
        for pair in chosen:
            edits = _edits(data, pair)
            split = PointSplit(volume, core._cutouts, Segments(index, edits.state))
            points = [places.astype(float) for places in pair.points]
            start = time.perf_counter()
            try:
                split.sides(edits.state, edits.history, *points)
            except SplitRefused:
                continue
            result.splits.append(time.perf_counter() - start)
        core.close()
    graph, ends = _graph(data, voxels, chosen)
    result.edges = len(graph.a)
    runs = {name: partial(_timed, run, graph, ends) for name, run in libraries().items()}
    result.graphs = interleaved(rounds, runs)
    return result


def _members(data: Tissue, pair: Joined) -> Voxels:
    ids = np.flatnonzero(np.isin(data.body, pair.bodies))
    return ids[ids > 0].astype(np.uint64)


def _edits(data: Tissue, pair: Joined) -> ChannelEdits:
    """Return the edits that join two bodies."""
    members = _members(data, pair)
    edits = ChannelEdits("/labels.h5", MemoryLog())
    edits.append(added(members, np.full(len(members), members[0]), "bench"))
    return edits


def _graph(data: Tissue, voxels: Voxels, pairs: list[Joined]) -> tuple[Graph, tuple[int, int]]:
    """Return the contacts of the segment with the most supervoxels, and a node of each body."""
    pair = max(pairs, key=lambda pair: len(_members(data, pair)))
    runs = runs_in(voxels, _members(data, pair))
    edges = contact_edges(contacts(runs, (10.0, 10.0, 10.0)))
    ids = np.unique(runs.labels)
    a, b = np.searchsorted(ids, edges.pairs).T
    source, sink = (int(data.supervoxels[tuple(places[0])]) for places in pair.points)
    ends = int(np.searchsorted(ids, source)), int(np.searchsorted(ids, sink))
    return Graph(len(ids), a, b, edges.weights), ends


def _timed(run: Callable[..., object], graph: Graph, ends: tuple[int, int]) -> float:
    start = time.perf_counter()
    run(graph, *ends)
    return time.perf_counter() - start
