"""What a request costs, by the size of the volume: cold chunks of sparse gzip HDF5."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import h5py

from benchmarks.client import ask_chunks, places_of
from benchmarks.data import sparse
from benchmarks.measure import Samples, interleaved
from benchmarks.peers import bfly, config_of

if TYPE_CHECKING:
    from benchmarks.data import Volume

__all__ = ["Sizes", "measure"]

SHAPES = {
    "1 GiB": (256, 2048, 2048),
    "16 GiB": (1024, 4096, 4096),
    "64 GiB": (1024, 8192, 8192),
    "256 GiB": (4096, 8192, 8192),
    "1 TiB": (16384, 8192, 8192),
}
"""Of the volumes (z, y, x); voxels have one byte."""

ASKED = 128
"""Chunks in a sample."""


@dataclass
class Sizes:
    """The cost of a chunk, by the size of its volume.

    Parameters
    ----------
    data : str
        The volume that is the first box of each, the only one that is there.
    nbytes : dict
        Of all voxels of each volume, by its name.
    samples : Samples
        Seconds of a chunk, by the name of its volume.
    """

    data: str
    nbytes: dict[str, int]
    samples: Samples


def measure(volume: Volume, rounds: int) -> Sizes:
    """Ask for the same chunks of volumes of several sizes, in turns.

    The cache is too small to keep them, and the client does not take them as they are stored: each
    is found in its file, read and decoded.

    Raises
    ------
    WrongAnswer
        A chunk is not what is in the file.
    """
    with h5py.File(volume.em) as file:
        truth = file["main"][:]
    clients = {}
    with contextlib.ExitStack() as stack:
        for name, shape in SHAPES.items():
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bfly-bench-")))
            sparse(volume.em, folder / "em.h5", shape)
            config = config_of(str(folder / "em.h5"), **{"max-cache-size": 1})
            port = stack.enter_context(bfly(folder, config))
            clients[name] = partial(ask_chunks, port, places_of(truth)[:ASKED], truth)
        samples = interleaved(rounds, clients)
    sizes = {name: depth * height * width for name, (depth, height, width) in SHAPES.items()}
    return Sizes(volume.name, sizes, samples)
