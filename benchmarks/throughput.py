"""Requests a second by the number of connections, beside nginx and the same bytes as a file."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import h5py

from benchmarks.client import get, under_load
from benchmarks.measure import WrongAnswer
from benchmarks.peers import HOST, bfly, config_of, missing, nginx
from benchmarks.serving import CHUNK

if TYPE_CHECKING:
    from benchmarks.data import Volume

__all__ = ["CONNECTIONS", "Throughput", "measure"]

CONNECTIONS = (1, 2, 4, 8, 16, 32, 64, 128)


@dataclass
class Throughput:
    """A warm chunk, asked for on more and more connections.

    Parameters
    ----------
    data : str
        The volume.
    connections : list of int
        How many there are.
    rates : dict
        By program and workers, requests a second: some samples for each number of connections.
    skipped : str
        Why there are none.
    """

    data: str
    connections: list[int] = field(default_factory=lambda: list(CONNECTIONS))
    rates: dict[str, list[list[float]]] = field(default_factory=dict)
    skipped: str = ""


def measure(volume: Volume, rounds: int) -> Throughput:
    """Measure the warm chunk, one second for each sample, all programs in turns.

    Raises
    ------
    WrongAnswer
        An answer is not what is in the file, or a request under load had no good answer.
    """
    result = Throughput(volume.name, skipped=missing("nginx", "wrk"))
    if result.skipped:
        return result
    with h5py.File(volume.em) as file:
        truth = file["main"][64:128, 128:192, 64:128].tobytes()
    urls = {}
    with contextlib.ExitStack() as stack:
        for workers in (1, 2):
            for name in ("bfly", "nginx"):
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bfly-bench-"))
                if name == "bfly":
                    served = bfly(Path(folder), config_of(volume.em), workers)
                else:
                    served = nginx(Path(folder), {"chunk": truth}, workers)
                path = CHUNK if name == "bfly" else "/chunk"
                url = f"http://{HOST}:{stack.enter_context(served)}{path}"
                if get(url) != truth:
                    raise WrongAnswer(f"{url} is not the voxels of {volume.em}")
                urls[f"{name}, {workers} worker{'s' * (workers > 1)}"] = url
        result.rates = {name: [[] for _ in CONNECTIONS] for name in urls}
        for _ in range(rounds):
            for place, count in enumerate(CONNECTIONS):
                for name, url in urls.items():
                    load = under_load(url, 1, len(truth), connections=count)
                    result.rates[name][place].append(load.rate)
    return result
