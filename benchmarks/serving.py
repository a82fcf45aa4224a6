"""Requests a second, answered from a warm cache, beside nginx and the same bytes as files."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import imagecodecs
import numpy as np

from benchmarks.client import get, under_load
from benchmarks.measure import Samples, WrongAnswer, interleaved
from benchmarks.peers import HOST, bfly, find, missing, nginx

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.data import Volume

__all__ = ["CHUNK", "Serving", "load", "measure"]

TILE = "/api/data?experiment=e&sample=s&dataset=d&channel=em&z=128&y=0&x=0&height=512&width=512"
CHUNK = "/pre/e::s::d/em/0/64-128_128-192_64-128"


@dataclass
class Serving:
    """One answer, asked for again and again.

    Parameters
    ----------
    what, data : str
        Of the answer, and of the volume that it is from.
    nbytes : int
        The size of the answer.
    samples : Samples
        Requests a second, by program.
    skipped : str
        Why there are none of a program.
    first_butterfly : int, optional
        Requests a second of the first Butterfly on Python 3: one process, warm cache.
    """

    what: str
    data: str
    nbytes: int
    samples: Samples = field(default_factory=dict)
    skipped: str = ""
    first_butterfly: int | None = None


def measure(volume: Volume, rounds: int, seconds: int) -> list[Serving]:
    """Measure the warm chunk and the warm tile.

    Parameters
    ----------
    volume : Volume
        Its EM is served.
    rounds, seconds : int
        How many samples are taken of each program, and how long one takes.

    Raises
    ------
    WrongAnswer
        An answer is not what is in the file, or a request under load had no good answer.
    """
    channels = [{"name": "em", "path": volume.em}]
    samples = [{"name": "s", "datasets": [{"name": "d", "path": "/", "channels": channels}]}]
    config = {"bfly": {"experiments": [{"name": "e", "samples": samples}]}}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bfly-bench-")))
        for name in ("bfly", "nginx"):
            (folder / name).mkdir()
        ours = f"http://{HOST}:{stack.enter_context(bfly(folder / 'bfly', config))}"
        chunk, tile = _right_chunk(ours, volume), _right_tile(ours, volume)
        urls = {"chunk": {"bfly": ours + CHUNK}, "tile": {"bfly": ours + TILE}}
        if find("nginx"):
            files = {"chunk": chunk, "tile": tile}
            theirs = f"http://{HOST}:{stack.enter_context(nginx(folder / 'nginx', files))}"
            for name in urls:
                urls[name]["nginx"] = f"{theirs}/{name}"
        return [
            load("64³ uint8 chunk", volume, chunk, urls["chunk"], rounds, seconds, first=228),
            load("512² PNG tile", volume, tile, urls["tile"], rounds, seconds, first=53),
        ]


def _right_chunk(server: str, volume: Volume) -> bytes:
    with h5py.File(volume.em) as file:
        truth: bytes = file["main"][64:128, 128:192, 64:128].tobytes()
    answer = get(server + CHUNK)
    if answer != truth:
        raise WrongAnswer(f"{CHUNK} is not the voxels of {volume.em}")
    return answer


def _right_tile(server: str, volume: Volume) -> bytes:
    with h5py.File(volume.em) as file:
        truth = file["main"][128, :512, :512]
    answer = get(server + TILE)
    if not np.array_equal(imagecodecs.png_decode(answer), truth):
        raise WrongAnswer(f"{TILE} is not the voxels of {volume.em}")
    return answer


def load(
    what: str,
    volume: Volume,
    answer: bytes,
    urls: dict[str, str],
    rounds: int,
    seconds: int,
    accept: str = "",
    first: int | None = None,
) -> Serving:
    """Ask several programs for the same bytes, again and again.

    Parameters
    ----------
    what, volume, answer
        What is asked for, of what it is, and what has to come.
    urls : dict
        Where each program has it.
    rounds, seconds : int
        How many samples are taken of each program, and how long one takes.
    accept : str
        The header of the requests, if they have it.
    first : int, optional
        See `Serving`.

    Raises
    ------
    WrongAnswer
        A request under load had no good answer.
    """
    row = Serving(what, volume.name, len(answer), {}, missing("nginx", "wrk"), first)
    if find("wrk") is None:
        return row

    def client(url: str) -> Callable[[], float]:
        return lambda: under_load(url, seconds, len(answer), accept).rate

    row.samples = interleaved(rounds, {name: client(url) for name, url in urls.items()})
    for url in urls.values():
        if get(url, accept) != answer:
            raise WrongAnswer(f"{url} has another answer after the load than before it")
    return row
