"""The hot paths beside their peers: each row a ratio, with what it has to be."""

from __future__ import annotations

import contextlib
import http.client
import tempfile
import time
import zlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import h5py
import imagecodecs
import numpy as np

from benchmarks.measure import Samples, WrongAnswer, interleaved
from benchmarks.peers import HOST, bfly, missing, nginx, raw_h5py
from benchmarks.serving import CHUNK, get, requests_a_second
from bfly.core import Core
from bfly.databases.nodb import Nodb
from bfly.encoders.encoder import Encoder
from bfly.keywords import RUNTIME
from bfly.queries.data import DataQuery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from benchmarks.data import Volume

__all__ = ["Hot", "config_of", "measure"]

SIDE = 64
WIDE = (256, 4096, 4096)
TILE = 512


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
    """

    work: str
    against: str
    samples: Samples
    target: float


def config_of(path: str, **settings: int) -> dict[str, Any]:
    """Give the configuration that serves one file as ``e::s::d/em``."""
    channels = [{"name": "em", "path": path}]
    samples = [{"name": "s", "datasets": [{"name": "d", "path": "/", "channels": channels}]}]
    return {"bfly": {"experiments": [{"name": "e", "samples": samples}], **settings}}


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
    with tempfile.TemporaryDirectory(prefix="bfly-bench-") as folder:
        yield _large(volume, Path(folder), rounds)


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
            return lambda: 1 / requests_a_second(url, seconds, len(truth))

        samples = interleaved(rounds, {name: client(url) for name, url in urls.items()})
    return Hot("warm 64³ chunk, two workers", "nginx, two workers", samples, 0.75)


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
    return Hot("512² PNG tile from cached tiles", "the same with cv2's PNG", samples, 3)


def _passed(volume: Volume, folder: Path, rounds: int) -> Hot:
    """Ask for every chunk of the file, with a cache that holds none of them so long."""
    with h5py.File(volume.em) as file:
        truth = file["main"][:]
    places = list(np.ndindex(*(n // SIDE for n in truth.shape)))
    (folder / "bfly").mkdir()
    (folder / "peer").mkdir()
    with (
        bfly(folder / "bfly", config_of(volume.em, **{"max-cache-size": 1})) as ours,
        raw_h5py(folder / "peer", volume.em) as theirs,
    ):

        def chunks(port: int, deflate: bool) -> Callable[[], float]:
            return lambda: _pass(port, deflate, places, truth)

        samples = interleaved(rounds, {"bfly": chunks(ours, True), "peer": chunks(theirs, False)})
    return Hot("cold gzip HDF5 chunk, client takes deflate", "h5py, sent raw", samples, 8)


def _pass(port: int, deflate: bool, places: list[Any], truth: NDArray[Any]) -> float:
    connection = http.client.HTTPConnection(HOST, port)
    headers = {"accept-encoding": "deflate"} if deflate else {}
    answers = []
    start = time.perf_counter()
    for z, y, x in places:
        a, b, c = x * SIDE, y * SIDE, z * SIDE
        path = f"/pre/e::s::d/em/0/{a}-{a + SIDE}_{b}-{b + SIDE}_{c}-{c + SIDE}"
        connection.request("GET", path, headers=headers)
        answers.append(connection.getresponse().read())
    elapsed = time.perf_counter() - start
    connection.close()
    for place, answer in zip(places, answers, strict=True):
        box = tuple(slice(i * SIDE, (i + 1) * SIDE) for i in place)
        if (zlib.decompress(answer) if deflate else answer) != truth[box].tobytes():
            raise WrongAnswer(f"the chunk {place} is not the voxels of the file")
    return elapsed / len(places)


def _sparse(volume: Volume, path: Path, shape: tuple[int, int, int]) -> NDArray[Any]:
    """Write a large volume of which only the first box is there."""
    with h5py.File(volume.em) as file, h5py.File(path, "w") as large:
        voxels: NDArray[Any] = file["main"][:]
        main = large.create_dataset("main", shape, "u1", chunks=(SIDE,) * 3, compression="gzip")
        main[tuple(slice(n) for n in voxels.shape)] = voxels
    return voxels


def _sweep(volume: Volume, folder: Path, rounds: int) -> Hot:
    """Look at a tile of every section, from an empty cache."""
    path = folder / "wide.h5"
    truth = _sparse(volume, path, WIDE)

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
    return Hot(work, "h5py reading each tile, no HTTP, no PNG", samples, 20)


def _large(volume: Volume, folder: Path, rounds: int) -> Hot:
    """Ask for the same chunks of a volume of 1 TiB and of one of 1 GiB."""
    paths = {"bfly": (16384, 8192, 8192), "peer": (256, 2048, 2048)}
    with contextlib.ExitStack() as stack:
        clients = {}
        for name, shape in paths.items():
            (folder / name).mkdir()
            truth = _sparse(volume, folder / f"{name}.h5", shape)
            config = config_of(str(folder / f"{name}.h5"), **{"max-cache-size": 1})
            port = stack.enter_context(bfly(folder / name, config))
            places = list(np.ndindex(*(n // SIDE for n in truth.shape)))
            clients[name] = partial(_pass, port, False, places, truth)
        samples = interleaved(rounds, clients)
    return Hot("a cold chunk of 1 TiB, sparse", "of 1 GiB", samples, 1 / 1.1)
