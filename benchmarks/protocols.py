"""The same box of voxels through each protocol, beside nginx and the same bytes as files."""

from __future__ import annotations

import contextlib
import gzip
import io
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import blosc
import compressed_segmentation
import h5py
import imagecodecs
import numpy as np

from benchmarks.client import get
from benchmarks.measure import WrongAnswer
from benchmarks.peers import HOST, bfly, find, nginx
from benchmarks.serving import load

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.data import Volume
    from benchmarks.serving import Serving

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["measure"]

BOX = np.s_[64:128, 128:192, 64:128]
SIDE = 64
LEAST_PSNR = 30
"""Decibels, of JPEG."""


@dataclass(frozen=True)
class Chunk:
    """How a protocol asks for the box, and how its answer is read.

    Parameters
    ----------
    path : str
        Below the server; it has ``{}`` for the channel.
    read : callable
        From the answer to voxels zyx; those of JPEG are near, all others equal.
    channel : {"em", "labels"}
        Which is asked for.
    accept : str
        The header, if the protocol heeds it.
    """

    path: str
    read: Callable[[bytes], Voxels]
    channel: str = "em"
    accept: str = ""


def _cube(voxels: Voxels) -> Voxels:
    return voxels.reshape(SIDE, SIDE, SIDE)


def _bytes(data: bytes) -> Voxels:
    return _cube(np.frombuffer(data, np.uint8))


def _hdf5(data: bytes) -> Voxels:
    with h5py.File(io.BytesIO(data)) as file:
        voxels: Voxels = file["em"]["CUTOUT"][:]
        return voxels


def _labels(data: bytes) -> Voxels:
    shape = SIDE, SIDE, SIDE
    voxels: Voxels = compressed_segmentation.decompress(data, shape, np.uint64, (8, 8, 8), "F").T
    return voxels


_PRE = "/pre/e::s::d/{}/%s/0/64-128_128-192_64-128"
_ND = "/nd/ca/e::s::d/{}/%s/0/64,128/128,192/64,128/"
_BOSS = "/v1/cutout/e/s::d/{}/0/64:128/128:192/64:128/"

CHUNKS = {
    "precomputed raw": Chunk(_PRE % "raw", _bytes),
    "precomputed png": Chunk(_PRE % "png", lambda data: _cube(imagecodecs.png_decode(data))),
    "precomputed jpeg": Chunk(_PRE % "jpeg", lambda data: _cube(imagecodecs.jpeg8_decode(data))),
    "precomputed compressed_segmentation": Chunk(
        _PRE % "compressed_segmentation", _labels, "labels"
    ),
    "zarr": Chunk("/zarr/e::s::d/{}/0/1/2/1", lambda data: _bytes(imagecodecs.zstd_decode(data))),
    "zarr3": Chunk(
        "/zarr3/e::s::d/{}/0/c/1/2/1", lambda data: _bytes(imagecodecs.zstd_decode(data))
    ),
    "n5": Chunk("/n5/e::s::d/{}/s0/1/2/1", lambda data: _bytes(gzip.decompress(data[16:]))),
    "NDStore hdf5": Chunk(_ND % "hdf5", _hdf5),
    "NDStore npz": Chunk(_ND % "npz", lambda data: np.load(io.BytesIO(zlib.decompress(data)))[0]),
    "NDStore blosc": Chunk(_ND % "blosc", lambda data: blosc.unpack_array(data)[0]),
    "BossDB blosc": Chunk(_BOSS, lambda data: _bytes(blosc.decompress(data))),
    "BossDB npygz": Chunk(
        _BOSS,
        lambda data: np.load(io.BytesIO(zlib.decompress(data))),
        accept="application/npygz",
    ),
}


def measure(volume: Volume, rounds: int, seconds: int) -> list[Serving]:
    """Measure 64³ voxels, warm, through each protocol.

    Parameters
    ----------
    volume : Volume
        Its EM is served, and its labels.
    rounds, seconds : int
        How many samples are taken of each program, and how long one takes.

    Raises
    ------
    WrongAnswer
        An answer is not what is in the file, or a request under load had no good answer.
    """
    paths = {"em": volume.em, "labels": volume.labels}
    channels = [{"name": name, "path": path} for name, path in paths.items()]
    samples = [{"name": "s", "datasets": [{"name": "d", "path": "/", "channels": channels}]}]
    config = {"bfly": {"experiments": [{"name": "e", "samples": samples}]}}
    truth = {name: _truth(path) for name, path in paths.items()}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bfly-bench-")))
        for name in ("bfly", "nginx"):
            (folder / name).mkdir()
        ours = f"http://{HOST}:{stack.enter_context(bfly(folder / 'bfly', config))}"
        answers: dict[str, bytes] = {}
        urls: dict[str, dict[str, str]] = {}
        for name, chunk in CHUNKS.items():
            url = ours + chunk.path.format(chunk.channel)
            answers[name] = get(url, chunk.accept)
            _check(name, chunk.read(answers[name]), truth[chunk.channel])
            urls[name] = {"bfly": url}
        if find("nginx"):
            files = {str(number): answer for number, answer in enumerate(answers.values())}
            theirs = f"http://{HOST}:{stack.enter_context(nginx(folder / 'nginx', files))}"
            for number, name in enumerate(urls):
                urls[name]["nginx"] = f"{theirs}/{number}"
        return [
            load(name, volume, answers[name], urls[name], rounds, seconds, CHUNKS[name].accept)
            for name in CHUNKS
        ]


def _truth(path: str) -> Voxels:
    with h5py.File(path) as file:
        voxels: Voxels = file["main"][BOX]
        return voxels


def _check(name: str, found: Voxels, truth: Voxels) -> None:
    if name.endswith("jpeg"):
        error = np.mean((found.astype(float) - truth) ** 2)
        right = 10 * np.log10(255**2 / max(error, 1e-9)) > LEAST_PSNR
    else:
        right = np.array_equal(found, truth)
    if not right:
        raise WrongAnswer(f"the chunk of {name} is not the voxels of the file")
