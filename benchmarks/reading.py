"""Cold cutouts of 256³ from gzip HDF5, through `Core.find_tiles`, beside plain h5py.

The page cache is warm for both. What h5py has to start with is an open file, and nothing of
the box in its own chunk cache, for each box lies where the one before did not.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from threading import Barrier
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from benchmarks.measure import Samples, WrongAnswer, interleaved
from bfly.core.core import Core
from bfly.databases.nodb import Nodb
from bfly.geometry import BoundingBox
from bfly.keywords import RUNTIME
from bfly.queries.data import DataQuery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    Voxels = np.ndarray[Any, np.dtype[Any]]
    Read = Callable[[BoundingBox], Voxels]
    Lent = AbstractContextManager[Read]

__all__ = ["Reading", "forget_tiles", "measure", "query_of"]

BOXES = [
    BoundingBox.of_shape((256, 256, 256), (0, y, x))
    for y, x in ((0, 0), (256, 256), (0, 256), (256, 0))
]
"""No chunk is in two of them."""


@dataclass
class Reading:
    """Cutouts from one file.

    Parameters
    ----------
    data, dtype : str
        The volume, and its voxels.
    ratio : float
        How much smaller the file is than its voxels.
    samples : Samples
        Seconds, by reader; of two callers, until both have their box.
    """

    data: str
    dtype: str
    ratio: float
    samples: Samples


def measure(data: str, path: str, rounds: int) -> Reading:
    """Measure the cutouts of one file.

    Parameters
    ----------
    data : str
        The volume's name.
    path : str
        HDF5 with a dataset ``main``.
    rounds : int
        How many samples are taken of each reader.

    Raises
    ------
    WrongAnswer
        A reader did not give the file's voxels.
    """
    with h5py.File(path) as file:
        truth = file["main"][:]
    theirs, ours = itertools.cycle(BOXES), itertools.cycle(BOXES)
    # HDF5 refuses to open a file twice in a process unless both mean to lock it or not.
    with ThreadPoolExecutor(2) as pool, h5py.File(path, locking=False) as file:
        main = file["main"]

        def timed(
            reader: Callable[[], Lent], boxes: Iterator[BoundingBox], callers: int
        ) -> Callable[[], float]:
            return lambda: _sample(reader, [next(boxes) for _ in range(callers)], truth, pool)

        def slicing() -> Lent:
            return contextlib.nullcontext(lambda box: main[box.slices])

        contestants = {
            "h5py": timed(slicing, theirs, 1),
            "fresh 1": timed(partial(_fresh, path, 1), ours, 1),
            "fresh 2": timed(partial(_fresh, path, 2), ours, 1),
            "open 1": timed(partial(_opened, path, 1), ours, 1),
            "open 2": timed(partial(_opened, path, 2), ours, 1),
            "h5py pair": timed(slicing, theirs, 2),
            "fresh pair": timed(partial(_fresh, path, 1), ours, 2),
        }
        samples = interleaved(rounds, contestants)
    return Reading(data, truth.dtype.name, truth.nbytes / os.path.getsize(path), samples)


@contextlib.contextmanager
def _core(parallel: int) -> Iterator[Core]:
    """Lend a core that shares the work on a cutout between some threads."""
    core = Core(Nodb("", RUNTIME()))
    core._workers.parallel = parallel
    yield core
    core._workers.close()
    core._files.close()


@contextlib.contextmanager
def _fresh(path: str, parallel: int) -> Iterator[Read]:
    """Lend a core that knows nothing: its first cutout opens and indexes the file."""
    with _core(parallel) as core:
        yield lambda box: core.find_tiles(query_of(path, box))


@contextlib.contextmanager
def _opened(path: str, parallel: int) -> Iterator[Read]:
    """Lend a core that has given a cutout of the file before, with no tile left in its cache."""
    with _core(parallel) as core:
        query = query_of(path, BOXES[0])
        core.find_tiles(query)
        forget_tiles(core, query)
        yield lambda box: core.find_tiles(query_of(path, box))


def forget_tiles(core: Core, query: DataQuery) -> None:
    """Empty the cache of a core but for the open channel of a query."""
    core.update_query(query)
    channel = core._cache.get(query.key)
    core._cache._cache.clear()
    core._cache._now_memory = 0
    core._cache.set(query.key, channel)


def query_of(path: str, box: BoundingBox) -> DataQuery:
    """Give the request for a box of a channel, as its scan finds it."""
    (z, y, x), (depth, height, width) = box.start, box.shape
    return DataQuery(path=path, z=z, y=y, x=x, depth=depth, height=height, width=width)


def _sample(
    reader: Callable[[], Lent], boxes: list[BoundingBox], truth: Voxels, pool: ThreadPoolExecutor
) -> float:
    """Time one caller for each box, all at once, until the last has its box."""
    ready = Barrier(len(boxes))

    def call(read: Read, box: BoundingBox) -> tuple[float, Voxels, float]:
        ready.wait()
        start = time.perf_counter()
        voxels = read(box)
        return start, voxels, time.perf_counter()

    with reader() as read:
        calls = [pool.submit(call, read, box) for box in boxes]
        starts, answers, ends = zip(*(each.result() for each in calls), strict=True)
    for voxels, box in zip(answers, boxes, strict=True):
        expected = truth[box.slices]
        if voxels.dtype != expected.dtype or not np.array_equal(voxels, expected):
            raise WrongAnswer(f"the cutout {box} of {truth.dtype} voxels is not as in the file")
    seconds: float = max(ends) - min(starts)
    return seconds
