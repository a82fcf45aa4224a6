"""A folder of thousands of channels: how long until the first tile, what it takes, what stays open.

It is the command as people run it, ``bfly FOLDER``, in a working folder with nothing of an
earlier run in it. The page cache is warm.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import h5py
import imagecodecs
import numpy as np
import tensorstore as ts
import tifffile

from benchmarks.measure import WrongAnswer
from benchmarks.memory import below, resident
from benchmarks.peers import HOST, serving

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rich.console import Console

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["Many", "folder_of", "measure"]

SHAPE = (8, 128, 128)
CHUNK = (8, 64, 64)
IN_A_DATASET = 100


@dataclass
class Many:
    """One start of the command.

    Parameters
    ----------
    channels, asked : int
        In the folder, and how many of them were asked for a tile.
    first : float
        Seconds from the command to its first answer.
    resident : int
        Bytes of memory of the process and its children, after all were asked.
    files : int
        Open files of the process then, sockets among them.
    """

    channels: int
    asked: int
    first: float
    resident: int
    files: int


def folder_of(place: Path, channels: int, console: Console) -> Path:
    """Give a folder of so many channels, made once: six formats, a hundred to a dataset."""
    folder = place / f"many-{channels}"
    if not folder.is_dir():
        unfinished = folder.with_suffix(".tmp")
        with console.status(f"Writing {channels:,} channels, once"):
            for number in range(channels):
                path = unfinished / _name(number)
                path.parent.mkdir(parents=True, exist_ok=True)
                FORMATS[_format(number)](path, _voxels(number))
        unfinished.rename(folder)
    return folder


def measure(folder: Path, channels: int, asked: int, work: Path) -> Many:
    """Start the command, wait for a tile, and ask for one of each of some channels.

    Parameters
    ----------
    folder : Path
        See `folder_of`.
    channels, asked : int
        Of the result.
    work : Path
        Empty; where the command runs.

    Raises
    ------
    WrongAnswer
        A tile is not as it was written.
    """
    numbers = np.linspace(0, channels - 1, asked).astype(int).tolist()
    start = time.perf_counter()
    with serving(work, str(folder)) as (port, pid):
        _check(port, folder.name, channels // 2)
        first = time.perf_counter() - start
        for number in numbers:
            _check(port, folder.name, number)
        pids = [pid, *below(pid)]
        taken = sum(map(resident, pids))
        files = sum(len(os.listdir(f"/proc/{each}/fd")) for each in pids)
    return Many(channels, asked, first, taken, files)


def _voxels(number: int) -> Voxels:
    return np.random.default_rng(number).integers(1, 256, SHAPE, np.uint8)


def _format(number: int) -> str:
    return list(FORMATS)[number % len(FORMATS)]


def _name(number: int) -> str:
    dataset, channel = divmod(number, IN_A_DATASET)
    return f"block-{dataset:03}/channel-{channel:02}.{_format(number)}"


def _check(port: int, sample: str, number: int) -> None:
    dataset, channel = _name(number).split("/")
    names = f"experiment=root&sample={sample}&dataset={dataset}&channel={channel}"
    depth, height, width = SHAPE
    place = f"x=0&y=0&z={depth // 2}&width={width}&height={height}&depth=1"
    with urlopen(f"http://{HOST}:{port}/api/data?{names}&{place}&format=raw") as answer:
        tile = answer.read()
    if tile != _voxels(number)[depth // 2].tobytes():
        raise WrongAnswer(f"the tile of {dataset}/{channel} is not as written")


def _hdf5(path: Path, voxels: Voxels) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("main", data=voxels, chunks=CHUNK, compression="gzip")


def _tiff(path: Path, voxels: Voxels) -> None:
    tifffile.imwrite(path, voxels, photometric="minisblack")


def _stack(path: Path, voxels: Voxels) -> None:
    path.mkdir()
    for z, section in enumerate(voxels):
        (path / f"{z}.png").write_bytes(imagecodecs.png_encode(section))


def _zarr(path: Path, voxels: Voxels) -> None:
    metadata = {"shape": SHAPE, "chunks": CHUNK, "dtype": "|u1"}
    _store({"driver": "zarr", "metadata": metadata}, path, voxels)


def _n5(path: Path, voxels: Voxels) -> None:
    metadata = {
        "dimensions": SHAPE[::-1],
        "blockSize": CHUNK[::-1],
        "dataType": "uint8",
        "compression": {"type": "gzip"},
    }
    _store({"driver": "n5", "metadata": metadata}, path, voxels.T)


def _precomputed(path: Path, voxels: Voxels) -> None:
    spec = {
        "driver": "neuroglancer_precomputed",
        "multiscale_metadata": {"type": "image", "data_type": "uint8", "num_channels": 1},
        "scale_metadata": {
            "size": SHAPE[::-1],
            "chunk_size": CHUNK[::-1],
            "resolution": [4, 4, 30],
            "encoding": "raw",
        },
    }
    _store(spec, path, voxels.T[..., np.newaxis])


def _store(spec: dict[str, Any], path: Path, voxels: Voxels) -> None:
    kvstore = {"driver": "file", "path": f"{path}/"}
    ts.open({**spec, "kvstore": kvstore}, create=True).result()[...] = voxels


FORMATS: dict[str, Callable[[Path, Voxels], None]] = {
    "h5": _hdf5,
    "tif": _tiff,
    "stack": _stack,
    "zarr": _zarr,
    "n5": _n5,
    "precomputed": _precomputed,
}
"""By what the name of a channel ends in, what writes it."""
