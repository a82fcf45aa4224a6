"""How far five requests walk through ``bfly/``: ``python -m benchmarks.walks``.

Each is asked of a server in this process under a profiler, which counts the calls of Butterfly's
functions, the files that they are in, and how often one file calls into another.
"""

from __future__ import annotations

import csv
import http.client
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from rich.console import Console
from rich.table import Table

import bfly
from bfly.butterfly import runtime_of
from bfly.config import Config
from bfly.databases.nodb import Nodb
from bfly.server.webserver import Webserver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

SHAPE = (128, 1024, 1024)
"""Voxels of one byte: 128 MiB, of which the streamed cutout takes half."""

CUTOUT = "/api/data?experiment=e&sample=s&dataset=d&channel=em"

CHUNK = "/pre/e::s::d/em/0/{0}-{1}_{0}-{1}_0-64"

REQUESTS = {
    "warm 64³ chunk": (CHUNK.format(0, 64), CHUNK.format(0, 64), ""),
    "64³ chunk as stored": (CHUNK.format(0, 64), CHUNK.format(64, 128), "deflate"),
    "cold PNG of a computed mip": (
        f"{CUTOUT}&resolution=1&z=0&y=0&x=0&height=64&width=64",
        f"{CUTOUT}&resolution=1&z=70&y=0&x=0&height=256&width=256",
        "",
    ),
    "streamed cutout": (
        f"{CUTOUT}&z=0&y=0&x=0&depth=40&height=1024&width=1024&format=raw",
        f"{CUTOUT}&z=64&y=0&x=0&depth=64&height=1024&width=1024&format=raw",
        "",
    ),
    "/api/partners": (
        "/api/partners?experiment=e&sample=s&dataset=d&id=7",
        "/api/partners?experiment=e&sample=s&dataset=d&id=9",
        "",
    ),
}
"""From a name to what is asked before, so that all is imported and open, what is counted, and the
content coding that the client accepts."""

PACKAGE = str(Path(bfly.__file__).parent)


class Walk:
    """Counts calls in all threads while it is on."""

    def __init__(self) -> None:
        self.is_on = False
        self.calls: list[tuple[str, str]] = []

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> None:
        """Note a call: a profile function."""
        if not self.is_on or event != "call":
            return
        file = frame.f_code.co_filename
        if not file.startswith(PACKAGE):
            return
        caller = frame.f_back
        while caller is not None and not caller.f_code.co_filename.startswith(PACKAGE):
            caller = caller.f_back
        self.calls.append((caller.f_code.co_filename if caller else "", file))

    @property
    def figures(self) -> tuple[int, int, int]:
        """Calls, files, and calls from one file into another."""
        files = {file for _, file in self.calls}
        moves = sum(caller != file and caller != "" for caller, file in self.calls)
        return len(self.calls), len(files), moves


def write(folder: Path) -> None:
    """Write a channel and its synapses."""
    voxels = np.random.default_rng(0).integers(0, 255, (64, 64, 64), np.uint8)
    with h5py.File(folder / "em.h5", "w") as file:
        main = file.create_dataset("main", SHAPE, "u1", chunks=(64, 64, 64), compression="gzip")
        main[...] = np.tile(voxels, [n // 64 for n in SHAPE])
    with (folder / "synapses.csv").open("w", newline="") as table:
        rows = csv.writer(table)
        rows.writerow(["pre", "post", "z", "y", "x"])
        rows.writerows([7 + n % 3, 9 + n % 2, n % 100, n, n] for n in range(500))


@contextmanager
def served(folder: Path) -> Iterator[int]:
    """Serve the channel in this process; yield the port."""
    channel = {"name": "em", "path": str(folder / "em.h5"), "voxel_size": [30, 4, 4]}
    dataset = {"name": "d", "path": str(folder), "channels": [channel]}
    synapses = {"path": str(folder / "synapses.csv"), "pre": "pre", "post": "post"}
    dataset |= {"synapses": synapses | dict(zip("zyx", "zyx", strict=True))}
    tree = [{"name": "e", "samples": [{"name": "s", "datasets": [dataset]}]}]
    config = Config.parse({"bfly": {"experiments": tree}}, "walks")
    server = Webserver(Nodb("", runtime_of(config)).load_config(config.dump()), config)
    thread = threading.Thread(target=server.start, args=(0,), daemon=True)
    thread.start()
    server.wait()
    yield server.port
    server.stop()


def ask(port: int, path: str, coding: str) -> None:
    """Read an answer to its end."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path, headers={"accept-encoding": coding or "identity"})
    response = connection.getresponse()
    response.read()
    assert response.status == 200, (path, response.status)
    connection.close()


def counted(walk: Walk, work: Callable[[], None]) -> tuple[int, int, int]:
    """Return the figures of some work, once the server is at rest."""
    time.sleep(0.5)
    walk.calls, walk.is_on = [], True
    work()
    walk.is_on = False
    return walk.figures


def main() -> None:
    """Print the table."""
    walk, table = Walk(), Table("request", "calls", "files", "moves between files")
    sys.setprofile(walk)
    threading.setprofile(walk)
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        with served(Path(folder)) as port:
            for name, (before, request, coding) in REQUESTS.items():
                ask(port, before, coding)
                figures = counted(walk, lambda r=request, c=coding: ask(port, r, c))
                table.add_row(name, *(f"{figure:,}" for figure in figures))
    Console().print(table)


if __name__ == "__main__":
    main()
