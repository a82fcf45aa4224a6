"""The hot paths beside their peers: each row a ratio, with what it has to be."""

from __future__ import annotations

import contextlib
import http.client
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import h5py
import imagecodecs
import numpy as np

from benchmarks.client import ask_chunks, get, places_of, under_load
from benchmarks.data import sparse
from benchmarks.measure import Samples, WrongAnswer, interleaved
from benchmarks.peers import HOST, bfly, config_of, missing, nginx, raw_h5py
from benchmarks.serving import CHUNK
from bfly.core.core import Core
from bfly.databases.nodb import Nodb
from bfly.encoders.encoder import Encoder
from bfly.keywords import RUNTIME
from bfly.queries.data import DataQuery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from benchmarks.data import Volume

__all__ = ["Hot", "measure"]

WIDE = (256, 4096, 4096)
TILE = 512
CV2 = "opencv-python-headless"


@dataclass
class Hot:
    """One piece of work, done by Butterfly and by a peer.

    Parameters
    ----------
    work, against : str
        What is done, and by whom besides.
    samples : Samples
        Seconds of one piece of work, for ``bfly`` and ``peer``; 1 / requests a second where that
        is what is measured.
    target : float
        So many times as fast as the peer Butterfly has to be.
    version : str
        Whose version counts, one of `benchmarks.peers.machine`.
    """

    work: str
    against: str
    samples: Samples
    target: float
    version: str


def measure(volume: Volume, rounds: int, seconds: int) -> Iterator[Hot]:
    """Measure every row.

    Raises
    ------
    WrongAnswer
        Something that was timed is not what is in the file.
    """
    if not missing("nginx", "wrk"):
        with tempfile.TemporaryDirectory(prefix="bfly-bench-") as folder:
            yield _two_workers(volume, Path(folder), rounds, seconds)
    yield _png(volume, rounds * 10)
    with tempfile.TemporaryDirectory(prefix="bfly-bench-") as folder:
        yield _passed(volume, Path(folder), rounds)
    with tempfile.TemporaryDirectory(prefix="bfly-bench-") as folder:
        yield _sweep(volume, Path(folder), rounds)


def _two_workers(volume: Volume, folder: Path, rounds: int, seconds: int) -> Hot:
    with h5py.File(volume.em) as file:
        truth = file["main"][64:128, 128:192, 64:128].tobytes()
    for name in ("bfly", "nginx"):
        (folder / name).mkdir()
    with (
        bfly(folder / "bfly", config_of(volume.em), 2) as ours,
        nginx(folder / "nginx", {"chunk": truth}, 2) as theirs,
    ):
        urls = {"bfly": f"http://{HOST}:{ours}{CHUNK}", "peer": f"http://{HOST}:{theirs}/chunk"}
        for url in urls.values():
            if get(url) != truth:
                raise WrongAnswer(f"{url} is not the voxels of {volume.em}")

        def client(url: str) -> Callable[[], float]:
            return lambda: 1 / under_load(url, seconds, len(truth)).rate

        samples = interleaved(rounds, {name: client(url) for name, url in urls.items()})
    return Hot("warm 64³ chunk, two workers", "nginx, two workers", samples, 0.75, "nginx")


class _Cv2(Encoder):
    media_type = "image/png"

    def encode(
        self, voxels: NDArray[Any], *, view: str = "grayscale", kind: str = "image"
    ) -> bytes:
        return bytes(cv2.imencode(".png", voxels[0])[1].data)


class _Cv2Query(DataQuery):
    @property
    def encoder(self) -> Encoder:
        return _Cv2()


def _png(volume: Volume, rounds: int) -> Hot:
    core = Core(Nodb("", RUNTIME()))
    with h5py.File(volume.em) as file:
        truth = file["main"][100, :TILE, :TILE]

    def encoding(kind: type[DataQuery]) -> Callable[[], float]:
        def sample() -> float:
            query = kind(path=volume.em, z=100, height=TILE, width=TILE)
            start = time.perf_counter()
            answer = core.get_data(query)
            elapsed = time.perf_counter() - start
            if not np.array_equal(imagecodecs.png_decode(answer), truth):
                raise WrongAnswer(f"the PNG of {kind.__name__} is not the section")
            return elapsed

        return sample

    samples = interleaved(rounds, {"bfly": encoding(DataQuery), "peer": encoding(_Cv2Query)})
    return Hot("512² PNG tile from cached tiles", "the same with cv2's PNG", samples, 3, CV2)


def _passed(volume: Volume, folder: Path, rounds: int) -> Hot:
    """Ask for every chunk of the file, with a cache that holds none of them so long."""
    with h5py.File(volume.em) as file:
        truth = file["main"][:]
    places = places_of(truth)
    (folder / "bfly").mkdir()
    (folder / "peer").mkdir()
    with (
        bfly(folder / "bfly", config_of(volume.em, **{"max-cache-size": 1})) as ours,
        raw_h5py(folder / "peer", volume.em) as theirs,
    ):

        def chunks(port: int, deflate: bool) -> Callable[[], float]:
            return lambda: ask_chunks(port, places, truth, deflate)

        samples = interleaved(rounds, {"bfly": chunks(ours, True), "peer": chunks(theirs, False)})
    return Hot("cold gzip HDF5 chunk, client takes deflate", "h5py, sent raw", samples, 8, "h5py")


def _sweep(volume: Volume, folder: Path, rounds: int) -> Hot:
    """Look at a tile of every section, from an empty cache."""
    path = folder / "wide.h5"
    sparse(volume.em, path, WIDE)
    with h5py.File(volume.em) as file:
        truth = file["main"][:]

    def ours() -> float:
        with contextlib.ExitStack() as stack:
            place = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder)))
            port = stack.enter_context(bfly(place, config_of(str(path))))
            connection = http.client.HTTPConnection(HOST, port)
            named = "/api/data?experiment=e&sample=s&dataset=d&channel=em"
            answers = []
            start = time.perf_counter()
            for z in range(WIDE[0]):
                connection.request("GET", f"{named}&x=0&y=0&z={z}&width={TILE}&height={TILE}")
                answers.append(connection.getresponse().read())
            elapsed = time.perf_counter() - start
        for z, answer in enumerate(answers):
            if not np.array_equal(imagecodecs.png_decode(answer), truth[z]):
                raise WrongAnswer(f"the tile of section {z} is not the file's")
        return elapsed / WIDE[0]

    def theirs() -> float:
        sections = range(0, WIDE[0], 8)
        start = time.perf_counter()
        for z in sections:
            with h5py.File(path) as file:
                tile = file["main"][z : z + 1, :TILE, :TILE][0]
            if z == 0 and not np.array_equal(tile, truth[0]):
                raise WrongAnswer("h5py gave another tile than the file's")
        return (time.perf_counter() - start) / len(sections)

    samples = interleaved(rounds, {"bfly": ours, "peer": theirs})
    work = "a 512² PNG tile of each of 256 sections in turn, over HTTP"
    return Hot(work, "h5py reading each tile, no HTTP, no PNG", samples, 20, "h5py")
