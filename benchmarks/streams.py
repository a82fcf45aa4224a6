"""Cutouts of 1 GiB, streamed: what memory they take, and how long others wait meanwhile.

The client of a stream reads as fast as it comes, into memory that it has, and compares a hash
of each section: that costs it a fraction of what the server does for the stream.
"""

from __future__ import annotations

import contextlib
import http.client
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import h5py
import numpy as np
import xxhash

from benchmarks.client import CONNECTIONS, get, under_load
from benchmarks.data import repeated
from benchmarks.measure import Samples, WrongAnswer, interleaved
from benchmarks.memory import forget_peak, peak, resident
from benchmarks.peers import HOST, config_of, configured, missing, serving
from benchmarks.serving import CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.data import Volume

__all__ = ["MIB", "Streams", "measure"]

MIB = 1 << 20
SIDE = 1024
SECTION = SIDE * SIDE
CUTOUT = (
    "/api/data?experiment=e&sample=s&dataset=d&channel=em&format=raw"
    f"&z=0&y=0&x=0&depth={SIDE}&height={SIDE}&width={SIDE}"
)
SETTINGS = {"max-cutout-size": SIDE * SECTION // MIB}

Truth = tuple[bytes, list[int]]
"""The voxels of `CHUNK`, and a hash of each section."""


@dataclass
class Streams:
    """What was measured with streams of 1 GiB.

    Parameters
    ----------
    data : str
        The volume.
    resident : list of float
        MiB above those of the idle server, at most, while it sent one; a new server each time.
    rates : dict
        MiB a second of a stream: ``alone``, or beside a number of connections.
    p99 : dict
        From the number of connections of who asks for a warm chunk to the seconds that 99 of 100
        requests took at most: ``alone``, and ``beside`` a stream.
    skipped : str
        Why the latter was not measured.
    """

    data: str
    resident: list[float] = field(default_factory=list)
    rates: Samples = field(default_factory=dict)
    p99: dict[str, Samples] = field(default_factory=dict)
    skipped: str = ""


def measure(volume: Volume, rounds: int, seconds: int) -> Streams:
    """Measure the memory of a stream, and the latency of a warm chunk beside one.

    Parameters
    ----------
    volume : Volume
        Its EM is repeated to 1024³ voxels.
    rounds, seconds : int
        How many samples are taken, and how long one of latency takes.

    Raises
    ------
    WrongAnswer
        An answer is not what is in the file.
    """
    path = Path(volume.em).with_name("em-1GiB.h5")
    with h5py.File(volume.em) as file:
        voxels = file["main"][:]
    depth, height, width = voxels.shape
    repeated(volume.em, path, (SIDE // depth, SIDE // height, SIDE // width))
    times = SIDE // height, SIDE // width
    hashes = [xxhash.xxh3_64_intdigest(np.tile(section, times)) for section in voxels]
    truth = voxels[64:128, 128:192, 64:128].tobytes(), hashes * (SIDE // depth)
    result = Streams(volume.name, rates={"alone": []}, skipped=missing("wrk"))
    for _ in range(rounds):
        _alone(str(path), truth, result)
    if not result.skipped:
        with _served(str(path), truth) as (port, _):
            for connections in (CONNECTIONS, 1):
                _beside(port, truth, connections, rounds, seconds, result)
    return result


@contextlib.contextmanager
def _served(path: str, truth: Truth) -> Iterator[tuple[int, int]]:
    """Serve the volume; the chunk is in the cache. Gives the port and the process."""
    with tempfile.TemporaryDirectory(prefix="bfly-bench-") as folder:
        experiments = configured(Path(folder), config_of(path, **SETTINGS))
        with serving(Path(folder), experiments) as (port, pid):
            if get(f"http://{HOST}:{port}{CHUNK}") != truth[0]:
                raise WrongAnswer(f"{CHUNK} is not the voxels of {path}")
            yield port, pid


def _alone(path: str, truth: Truth, result: Streams) -> None:
    with _served(path, truth) as (port, pid):
        idle = resident(pid)
        forget_peak(pid)
        start = time.perf_counter()
        size = sum(_sections(port, truth[1]))
        result.rates["alone"].append(size / MIB / (time.perf_counter() - start))
        result.resident.append((peak(pid) - idle) / MIB)


def _sections(port: int, hashes: list[int]) -> Iterator[int]:
    """Ask for the cutout; give the bytes of each section when it has come and is right."""
    with contextlib.closing(http.client.HTTPConnection(HOST, port, timeout=60)) as connection:
        connection.request("GET", CUTOUT)
        response = connection.getresponse()
        section = memoryview(bytearray(SECTION))
        for z, expected in enumerate(hashes):
            got = 0
            while got < SECTION and (more := response.readinto(section[got:])):
                got += more
            if xxhash.xxh3_64_intdigest(section[:got]) != expected:
                raise WrongAnswer(
                    f"section {z} of the stream ({response.status}) is not the file's"
                )
            yield got


def _beside(
    port: int, truth: Truth, connections: int, rounds: int, seconds: int, result: Streams
) -> None:
    url = f"http://{HOST}:{port}{CHUNK}"
    rates = result.rates[f"beside {connections}"] = []

    def alone() -> float:
        return under_load(url, seconds, len(truth[0]), connections=connections).p99

    def beside() -> float:
        begun, enough = Event(), Event()
        with ThreadPoolExecutor(1) as pool:
            stream = pool.submit(_keep_streaming, port, truth[1], begun, enough)
            begun.wait(60)
            try:
                return alone()
            finally:
                enough.set()
                rates.append(stream.result())

    contestants: dict[str, Callable[[], float]] = {"alone": alone, "beside": beside}
    result.p99[str(connections)] = interleaved(rounds, contestants)
    if get(url) != truth[0]:
        raise WrongAnswer(f"{url} has another answer after the load than before it")


def _keep_streaming(port: int, hashes: list[int], begun: Event, enough: Event) -> float:
    """Ask for one cutout after the other; give the MiB a second that came."""
    start, size = time.perf_counter(), 0
    while not enough.is_set():
        for more in _sections(port, hashes):
            size += more
            begun.set()
            if enough.is_set():
                break
    return size / MIB / (time.perf_counter() - start)
