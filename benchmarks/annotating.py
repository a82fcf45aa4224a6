"""A segment is clicked, a cell of synapses comes into view: annotations over HTTP from Sqlite.

Beside nginx, which has the same bytes as files.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import struct
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from benchmarks.connectome import configuration
from benchmarks.measure import WrongAnswer, interleaved
from benchmarks.peers import HOST, bfly, missing, nginx
from benchmarks.synapses import tile
from bfly.databases.lod import TOP, tiers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.measure import Samples
    from benchmarks.synapses import Column, Columns

__all__ = ["Annotating", "measure"]

SYNAPSES = "/pre/e::s::d/seg/synapses"
CLICKED = 10_000
NEURONS = 20
CELLS = 40
"""So many neurons, and cells of a level, are asked for in turn."""

POINT = 12
"""Bytes of an annotation without its id."""

Paths = list[tuple[str, ...]]


@dataclass
class Annotating:
    """Some requests.

    Parameters
    ----------
    what : str
        What is asked for.
    annotations, nbytes : int
        Of an answer, the median.
    samples : dict
        Milliseconds of each answer, by server.
    skipped : str
        Why there is nothing of nginx.
    """

    what: str
    annotations: int = 0
    nbytes: int = 0
    samples: Samples = field(default_factory=dict)
    skipped: str = ""


def measure(
    path: Path, synapses: int, sqlite: Path, folder: Path, rounds: int
) -> Iterator[Annotating]:
    """Ask for the synapses of neurons with 10,000 of them, and for cells of each level.

    Parameters
    ----------
    path, synapses, sqlite
        As for `benchmarks.connectome.measure`, which made the file.
    folder : Path
        Empty; for what the programs need.
    rounds : int
        How often everything is asked for.

    Raises
    ------
    WrongAnswer
        An answer has other synapses than there are.
    """
    columns = tile(synapses)
    with h5py.File(folder / "seg.h5", "w") as file:
        file.create_dataset("main", data=np.zeros((8, 8, 8), np.uint64))
    config = configuration(path)
    (dataset,) = config["bfly"]["experiments"][0]["samples"][0]["datasets"]
    dataset["channels"] = [{"name": "seg", "path": str(folder / "seg.h5")}]
    config["bfly"] |= {"db-type": "Sqlite", "db-path": str(sqlite)}
    with bfly(folder, config) as port, _client(port) as get:
        asked = {
            f"click on a segment with {CLICKED:,} synapses": _clicks(get, columns),
            **_cells(get, columns),
        }
        for number, (what, paths) in enumerate(asked.items()):
            place = folder / f"nginx-{number}"
            place.mkdir()
            yield _timed(what, paths, get, place, rounds)


def _clicks(get: Callable[[str], bytes], columns: Columns) -> Paths:
    """Choose neurons, and see that their synapses are those before and those after them."""
    neurons, counts = np.unique(np.append(columns["pre"], columns["post"]), return_counts=True)
    nearest = np.argsort(np.abs(counts - CLICKED))[:NEURONS]
    paths: Paths = []
    for neuron in neurons[nearest].tolist():
        sides = tuple(f"{SYNAPSES}/{side}/{neuron}" for side in ("pre", "post"))
        for side, address in zip(("pre", "post"), sides, strict=True):
            _check(address, get(address), columns["id"][columns[side] == np.uint64(neuron)])
        paths.append(sides)
    return paths


def _cells(get: Callable[[str], bytes], columns: Columns) -> dict[str, Paths]:
    """Choose cells of each level, and see that they hold the synapses of a tier."""
    info = json.loads(get(f"{SYNAPSES}/info"))
    random, tiers, result = np.random.default_rng(5), tiers_of(columns["id"]), {}
    for number, level in enumerate(info["spatial"]):
        tier = len(info["spatial"]) - 1 - number
        rows = np.flatnonzero((tiers >= tier) & (tiers <= (tier if number else TOP)))
        size = np.array(level["chunk_size"])
        places = np.stack([columns[axis][rows] for axis in "xyz"], axis=1)
        cells = (places - info["lower_bound"]) // size
        flat = np.ravel_multi_index(tuple(cells.T), level["grid_shape"])
        chosen = random.choice(np.unique(flat), CELLS)
        paths: Paths = []
        for cell in chosen.tolist():
            name = "_".join(map(str, np.unravel_index(cell, level["grid_shape"])))
            paths.append((f"{SYNAPSES}/{level['key']}/{name}",))
            _check(paths[-1][0], get(paths[-1][0]), columns["id"][rows[flat == cell]])
        result[f"cell of level {number}"] = paths
    return result


def _check(address: str, data: bytes, ids: Column) -> None:
    (count,) = struct.unpack_from("<Q", data)
    found = np.frombuffer(data, "<u8", offset=8 + count * POINT)
    if not np.array_equal(np.sort(found), np.sort(ids)):
        raise WrongAnswer(f"{address} has {count} synapses, not the {len(ids)} there are")


def _timed(
    what: str, paths: Paths, get: Callable[[str], bytes], folder: Path, rounds: int
) -> Annotating:
    answers = {address: get(address) for address in itertools.chain(*paths)}
    sizes = [sum(len(answers[address]) for address in group) for group in paths]
    counts = [sum(int.from_bytes(answers[a][:8], "little") for a in group) for group in paths]
    result = Annotating(what, int(np.median(counts)), int(np.median(sizes)))
    names = {address: str(number) for number, address in enumerate(answers)}
    with contextlib.ExitStack() as stack:
        contestants = {"bfly": _asking(get, paths, answers)}
        if lacking := missing("nginx"):
            result.skipped = lacking
        else:
            files = {names[address]: data for address, data in answers.items()}
            fetch = stack.enter_context(_client(stack.enter_context(nginx(folder, files))))
            contestants["nginx"] = _asking(
                lambda address: fetch(f"/{names[address]}"), paths, answers
            )
        result.samples = interleaved(rounds * len(paths), contestants)
    return result


def _asking(
    get: Callable[[str], bytes], paths: Paths, answers: dict[str, bytes]
) -> Callable[[], float]:
    """Give what asks, whenever it is called, for the next of some groups of addresses."""
    groups = itertools.cycle(paths)

    def ask() -> float:
        group = next(groups)
        start = time.perf_counter()
        found = [get(address) for address in group]
        milliseconds = 1000 * (time.perf_counter() - start)
        if found != [answers[address] for address in group]:
            raise WrongAnswer(f"{group} has another answer than before")
        return milliseconds

    return ask


@contextlib.contextmanager
def _client(port: int) -> Iterator[Callable[[str], bytes]]:
    """Give what fetches over one connection that stays open."""
    connection = http.client.HTTPConnection(HOST, port, timeout=60)

    def get(address: str) -> bytes:
        connection.request("GET", address)
        response: Any = connection.getresponse()
        data: bytes = response.read()
        if response.status != 200:
            raise WrongAnswer(f"{address} is answered {response.status}")
        return data

    with contextlib.closing(connection):
        yield get
