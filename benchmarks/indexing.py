"""The label index of a volume beside the statistics of cc3d, and what is looked up in it."""

from __future__ import annotations

import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.environments import python_with
from benchmarks.measure import Samples, WrongAnswer, interleaved
from bfly.segments.background import AT_ONCE
from bfly.segments.index import Index
from bfly.segments.store import Indexes
from bfly.volumes.channel import ChannelSpec
from bfly.volumes.volume import Volume as Channel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.data import Volume

__all__ = ["ALL", "BFLY", "CC3D", "ONE", "PAGE", "Indexed", "built", "measure"]

BFLY, CC3D = "bfly", "cc3d"

REQUIREMENTS = "connected-components-3d==4.1.1", "h5py==3.16.0"

ONE, ALL, PAGE = "one label", "all labels at once", "the 100 largest"


@dataclass
class Indexed:
    """An index and what it answers.

    Parameters
    ----------
    data : str
        The volume.
    labels : int
        Its labels.
    builds : Samples
        Seconds from the file to the index, and to the statistics in memory.
    looks : Samples
        Seconds of look-ups.
    """

    data: str
    labels: int
    builds: Samples = field(default_factory=dict)
    looks: Samples = field(default_factory=dict)


def measure(volume: Volume, folder: Path, rounds: int) -> Indexed:
    """Measure.

    Parameters
    ----------
    volume : Volume
        Its labels are read.
    folder : Path
        Keeps the environment of the peer.
    rounds : int
        How many samples are taken of each.

    Raises
    ------
    WrongAnswer
        A size or a box is not that of cc3d, or a point is not in its label.
    """
    with tempfile.TemporaryDirectory(dir=folder) as work:
        index = built(volume.labels, Path(work) / "first")
        ways = {BFLY: lambda: _build(volume.labels, Path(work))}
        python = python_with(folder, *REQUIREMENTS)
        if python is None:
            builds = interleaved(rounds, ways)
        else:
            statistics = Path(work) / "statistics.npz"
            with _cc3d(python, volume.labels, statistics) as theirs:
                builds = interleaved(rounds, {**ways, CC3D: theirs})
            _compare(index, statistics)
        looks = interleaved(rounds, dict(_looks(index)))
    return Indexed(volume.name, index.summary.labels, builds, looks)


def _build(path: str, folder: Path) -> float:
    with tempfile.TemporaryDirectory(dir=folder) as kept:
        start = time.perf_counter()
        built(path, Path(kept))
        return time.perf_counter() - start


def built(path: str, folder: Path) -> Index:
    """Build an index as a server does."""
    channel = Channel.open(ChannelSpec(path, kind="segmentation"))
    build = Indexes(str(folder), 1 << 40).build(channel)
    assert build
    with ThreadPoolExecutor(AT_ONCE) as pool:
        files = list(pool.map(build.do, build.pieces(channel)))
    build.finish(files)
    return Index(build.folder)


@contextmanager
def _cc3d(python: str, path: str, result: Path) -> Iterator[Callable[[], float]]:
    """Start cc3d; give what takes one sample. At the end, its answer is in a file."""
    command = [python, str(Path(__file__).with_name("cc3d_statistics.py")), path, str(result)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        assert process.stdin
        assert process.stdout
        sent, said = process.stdin, process.stdout

        def sample() -> float:
            sent.write("\n")
            sent.flush()
            return float(said.readline())

        yield sample
        sent.close()
    if process.returncode:
        raise RuntimeError("cc3d ended with an error")


def _compare(index: Index, path: Path) -> None:
    theirs = np.load(path)
    labels = np.flatnonzero(theirs["voxels"]).astype(np.uint64)
    labels = labels[labels > 0]
    rows, there = index.of(labels), labels.astype(np.int64)
    boxes = np.stack([rows["low"], rows["high"]], axis=2)
    if (
        rows["label"].tolist() != labels.tolist()
        or (rows["voxels"] != theirs["voxels"][there]).any()
        or (boxes != theirs["boxes"][there]).any()
    ):
        raise WrongAnswer("the index does not have the sizes and boxes of cc3d")


def _looks(index: Index) -> Iterator[tuple[str, Callable[[], float]]]:
    labels = index.largest(0, index.summary.labels)["label"]
    one = np.ascontiguousarray(labels[len(labels) // 2 :][:1])
    works: dict[str, Callable[[], object]] = {
        ONE: lambda: index.of(one),
        ALL: lambda: index.of(labels),
        PAGE: lambda: index.largest(0, 100),
    }
    for name, work in works.items():
        yield name, partial(_timed, work)


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
