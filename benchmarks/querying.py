"""Boxes a second over HTTP from Sqlite, while another process adds rows."""

from __future__ import annotations

import contextlib
import json
import subprocess
import urllib.request
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.celled import Celled
from benchmarks.connectome import configuration, opened
from benchmarks.measure import WrongAnswer
from benchmarks.peers import HOST, bfly, find, missing
from benchmarks.synapses import A_NEURON, extent, neuron_id, synapse_id, tile
from bfly.tables.columns import entries_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection
    from pathlib import Path

__all__ = ["Querying", "measure"]

CLIENTS = 32
WORKERS = 2
"""Processes of Butterfly on the port: one a core."""

BOXES = 5000
COMPARED = 100
"""To so many of the boxes the answer is compared with the truth, before the load and after."""

SCRIPT = """\
local paths = {{}}
for path in io.lines("{paths}") do paths[#paths + 1] = path end
math.randomseed(1)
request = function() return wrk.format("GET", paths[math.random(#paths)]) end
done = function(all, latency)
    local e = all.errors
    local errors = e.connect + e.read + e.write + e.status + e.timeout
    local p50, p99 = latency:percentile(50) / 1e3, latency:percentile(99) / 1e3
    local said = '{{"requests": %d, "seconds": %f, "errors": %d, "p50": %f, "p99": %f}}\\n'
    io.write(said:format(all.requests, all.duration / 1e6, errors, p50, p99))
end
"""


@dataclass
class Querying:
    """What the clients met.

    Parameters
    ----------
    what : str
        Whether rows were written meanwhile.
    requests : int
        How many were answered.
    seconds, p50, p99 : float
        The time of all, and milliseconds of one.
    written : int
        How many rows were acknowledged, all of which are there afterwards.
    skipped : str
        Why there is nothing.
    """

    what: str
    requests: int = 0
    seconds: float = 1
    p50: float = 0
    p99: float = 0
    written: int = 0
    skipped: str = ""

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def measure(path: Path, synapses: int, sqlite: Path, folder: Path, seconds: int) -> list[Querying]:
    """Let 32 clients ask for boxes of 100 to 1,000 synapses, without a writer and with one.

    Parameters
    ----------
    path, synapses, sqlite
        As for `benchmarks.connectome.measure`, which made the file.
    folder : Path
        Empty; for what the programs need.
    seconds : int
        How long with a writer; half of it without.

    Raises
    ------
    WrongAnswer
        A box has other synapses than there are, a request fails, or an acknowledged row is
        lost.
    """
    quiet, busy = Querying("nothing is written"), Querying("rows are written")
    if lacking := missing("wrk"):
        return [Querying("", skipped=lacking)]
    config = configuration(path)
    config["bfly"] |= {"db-type": "Sqlite", "db-path": str(sqlite)}
    truth = _boxes(synapses)
    (folder / "paths").write_text("\n".join(truth))
    (folder / "boxes.lua").write_text(SCRIPT.format(paths=folder / "paths"))
    with bfly(folder, config, WORKERS) as port:
        server = f"http://{HOST}:{port}"
        _compare(server, truth, set())
        _load(folder, server, quiet, max(seconds // 2, 1))
        with _writer(str(sqlite), str(path.parent), synapses, busy) as added:
            _load(folder, server, busy, seconds)
        _compare(server, truth, added)
    return [quiet, busy]


def _boxes(synapses: int) -> dict[str, list[int]]:
    """Choose boxes; gives what to ask for and the ids that are in each."""
    celled = Celled(tile(synapses))
    random = np.random.default_rng(2)
    rows = random.integers(synapses, size=BOXES).tolist()
    wanted = random.integers(100, 1000, size=BOXES).tolist()
    result = {}
    for row, count in zip(rows, wanted, strict=True):
        box = celled.box_around(row, count)
        (z, y, x), (depth, height, width) = box.start, box.shape
        place = f"z={z}&y={y}&x={x}&depth={depth}&height={height}&width={width}"
        of = "/api/entity_feature?experiment=e&sample=s&dataset=d&feature=synapse_ids"
        result[f"{of}&{place}"] = celled.box(box)
    return result


def _compare(server: str, truth: dict[str, list[int]], added: set[int]) -> None:
    for path in list(truth)[:COMPARED]:
        with urllib.request.urlopen(server + path, timeout=60) as response:
            answer = set(json.load(response))
        if answer - added != set(truth[path]):
            raise WrongAnswer(f"{server}{path}")


def _load(folder: Path, server: str, result: Querying, seconds: int) -> None:
    command = [find("wrk") or "wrk", "-t1", f"-c{CLIENTS}", f"-d{seconds}s"]
    command += ["-s", str(folder / "boxes.lua"), server]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60)
    try:
        said: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise WrongAnswer(f"wrk said:\n{ran.stdout}{ran.stderr}") from None
    if errors := said.pop("errors"):
        raise WrongAnswer(f"{errors} of {said['requests']} requests for boxes failed")
    for name, value in said.items():
        setattr(result, name, value)


@contextlib.contextmanager
def _writer(sqlite: str, path: str, synapses: int, result: Querying) -> Iterator[set[int]]:
    """Add rows in another process, one after the other; then look whether all are there.

    Yields the ids of what was acknowledged, which are there once the process has ended.
    """
    context, ids = get_context("spawn"), set[int]()
    ours, theirs = context.Pipe()
    process = context.Process(target=_write, args=(sqlite, path, synapses, theirs), daemon=True)
    process.start()
    theirs.close()
    ours.recv()
    yield ids
    ours.send("end")
    written = ours.recv()
    process.join()
    ids.update(row["__id"] for row in written)
    wanted = np.array(sorted(ids), np.uint64)
    found = {
        row["__id"]: row
        for row in entries_of(opened("Sqlite", sqlite).rows("synapse", path, wanted))
    }
    result.written = len(written)
    lost = sum(found.get(row["__id"]) != row for row in written)
    if lost:
        raise WrongAnswer(f"{lost} of {result.written} acknowledged rows are not there")


def _write(sqlite: str, path: str, synapses: int, pipe: Connection) -> None:
    engine = opened("Sqlite", sqlite)
    random, size, written = np.random.default_rng(3), extent(synapses), []
    while not pipe.poll():
        z, y, x = random.integers(size).tolist()
        n1, n2 = neuron_id(random.integers(synapses // A_NEURON, size=2)).tolist()
        key = int(synapse_id(synapses + len(written)))
        entry = {"__id": key, "n1": n1, "n2": n2, "z": z, "y": y, "x": x}
        written.append(engine.add_entry("synapse", path, entry))
        if len(written) == 1:
            pipe.send("begun")
    pipe.send(written)
