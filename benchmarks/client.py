"""Who asks: for one answer, for chunk after chunk, or with wrk for as many as there can be."""

from __future__ import annotations

import contextlib
import http.client
import re
import subprocess
import time
import urllib.request
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmarks.data import CHUNK
from benchmarks.measure import WrongAnswer
from benchmarks.peers import HOST, find
from bfly.geometry import BoundingBox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Place = tuple[int, ...]

__all__ = ["CONNECTIONS", "Load", "ask_chunks", "get", "places_of", "under_load"]

CONNECTIONS = 16

UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


class Load(NamedTuple):
    """What wrk measured: requests a second, and the seconds that 99 of 100 took at most."""

    rate: float
    p99: float


def get(url: str, accept: str = "", seconds: float = 60) -> bytes:
    """Ask for a URL, perhaps with a header ``Accept``, and wait so long for each part."""
    request = urllib.request.Request(url, headers={"accept": accept} if accept else {})
    with urllib.request.urlopen(request, timeout=seconds) as response:
        body: bytes = response.read()
        return body


def under_load(
    url: str, seconds: int, nbytes: int, accept: str = "", connections: int = CONNECTIONS
) -> Load:
    """Let wrk ask for a URL again and again, and see to it that all answers were whole.

    Parameters
    ----------
    url : str
        What is asked for.
    seconds : int
        For how long.
    nbytes : int
        The size of the answer.
    accept : str
        The header of the requests, if they have it.
    connections : int
        On each of them there is one request at a time.

    Raises
    ------
    WrongAnswer
        A request had no good answer.
    """
    header = ["-H", f"Accept: {accept}"] if accept else []
    command = [find("wrk") or "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    ran = subprocess.run(
        [*command, *header, url], capture_output=True, text=True, timeout=seconds + 60
    )
    said = ran.stdout + ran.stderr
    total = re.search(r"(\d+) requests in ([\d.]+)(m?s|m), ([\d.]+)([KMGT]?)B read", said)
    if total is None or "Non-2xx" in said or "Socket errors" in said:
        raise WrongAnswer(f"{url} under load:\n{said}")
    requests = int(total[1])
    read = float(total[4]) * 1024 ** " KMGT".index(total[5] or " ")
    if read < 0.98 * requests * nbytes:
        raise WrongAnswer(f"{url} under load gave {read:.0f} bytes for {requests} requests")
    rate = re.search(r"Requests/sec: *([\d.]+)", said)
    p99 = re.search(r" 99% *([\d.]+)(us|ms|s|m)\n", said)
    assert rate is not None
    assert p99 is not None
    return Load(float(rate[1]), float(p99[1]) * UNITS[p99[2]])


def places_of(voxels: NDArray[Any]) -> list[Place]:
    """Give the places of all whole chunks of a volume, counted in chunks."""
    return list(np.ndindex(*(n // side for n, side in zip(voxels.shape, CHUNK, strict=True))))


def ask_chunks(
    port: int, places: Sequence[Place], truth: NDArray[Any], deflate: bool = False
) -> float:
    """Ask Butterfly for some chunks, one after the other; give the seconds of one.

    Parameters
    ----------
    port : int
        Of the server.
    places : sequence of tuple of int
        See `places_of`.
    truth : numpy.ndarray
        The voxels, from the first one of the volume on.
    deflate : bool
        Whether the client accepts them so.

    Raises
    ------
    WrongAnswer
        A chunk is not as it should be.
    """
    headers = {"accept-encoding": "deflate"} if deflate else {}
    boxes = [BoundingBox.of_shape(CHUNK, np.multiply(place, CHUNK).tolist()) for place in places]
    answers = []
    with contextlib.closing(http.client.HTTPConnection(HOST, port, timeout=60)) as connection:
        start = time.perf_counter()
        for box in boxes:
            (z, y, x), (depth, height, width) = box.start, box.shape
            ends = f"{x}-{x + width}_{y}-{y + height}_{z}-{z + depth}"
            connection.request("GET", f"/pre/e::s::d/em/0/{ends}", headers=headers)
            answers.append(connection.getresponse().read())
        elapsed = time.perf_counter() - start
    for box, answer in zip(boxes, answers, strict=True):
        if (zlib.decompress(answer) if deflate else answer) != truth[box.slices].tobytes():
            raise WrongAnswer(f"the chunk {box} is not the voxels of the file")
    return elapsed / len(places)
