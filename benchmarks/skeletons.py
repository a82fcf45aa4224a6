"""Skeletons beside those of kimimaro: the largest body of the labels, from voxels in memory.

kimimaro is GPL, so it has an environment of its own and gets the voxels as a file. It makes the
skeleton from mip 0, and from the voxels of the mip that Butterfly chooses.
"""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from benchmarks.data import shared_data
from benchmarks.environments import python_with
from benchmarks.measure import WrongAnswer
from benchmarks.meshes import bodies
from bfly.segments.skeleton import Skeleton, skeleton
from bfly.segments.skeletons import COARSE

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["KIMIMARO", "Skeletons", "measure"]

KIMIMARO = "5.8.5"

VOXEL_SIZE = 8.0
"""Nanometres of the voxels of FIB-25."""

PARAMETERS = {
    **{"scale": 1.5, "const": 300, "pdrf_scale": 100_000, "pdrf_exponent": 4},
    **{"soma_detection_threshold": 1e9, "soma_acceptance_threshold": 1e9},
    **{"soma_invalidation_scale": 1, "soma_invalidation_const": 0},
}
"""Those of Butterfly, in kimimaro's words; it treats no part as a soma."""

PEER = f"""
import sys, time
import kimimaro
import numpy as np

mask, size = np.asfortranarray(np.load(sys.argv[1]).T), float(sys.argv[2])
start = time.process_time()
made = kimimaro.skeletonize(
    mask.view(np.uint8), teasar_params={PARAMETERS!r}, anisotropy=(size,) * 3, dust_threshold=0,
    fix_branching=True, fix_borders=False, progress=False, parallel=1,
)[1]
taken = time.process_time() - start
print(taken, made.average_smoothing(5, check_boundary=False).cable_length())
"""

TARGET = 0.5
"""Least share of the speed of kimimaro."""

FAR = 0.25
"""Share by which lengths of the same voxels may differ: a large body has no clear middle."""


@dataclass(frozen=True)
class Skeletons:
    """Seconds of a core in each round, of Butterfly (``bfly``) and kimimaro (``peer``)."""

    work: str
    against: str
    target: float
    samples: dict[str, list[float]]


def measure(folder: Path, rounds: int) -> Iterator[Skeletons]:
    """Measure in alternating rounds; `folder` keeps the bodies, and the environment of kimimaro.

    There is nothing without the data, or if kimimaro cannot be installed.
    """
    has_bodies = (shared_data() / "fib25").is_dir()
    python = python_with(folder, f"kimimaro=={KIMIMARO}") if has_bodies else None
    if python is None:
        return
    finest = _largest(bodies(folder / "bodies.h5"))
    times = int(-(-COARSE // VOXEL_SIZE))
    coarse, size = _halved(finest, times), VOXEL_SIZE * times
    ours: list[float] = []
    peers: dict[str, list[float]] = {"mip 0": [], "the same voxels": []}
    with TemporaryDirectory(dir=folder) as place:
        for _ in range(rounds):
            start = time.process_time()
            made = skeleton(np.argwhere(coarse), (size,) * 3)
            ours.append(time.process_time() - start)
            for name, mask, step in (
                ("mip 0", finest, VOXEL_SIZE),
                ("the same voxels", coarse, size),
            ):
                path = Path(place, "mask.npy")
                np.save(path, mask)
                taken, length = _peer(python, path, step)
                if step == size:
                    _check(made, length)
                peers[name].append(taken)
    for name, taken in peers.items():
        work = "skeleton of the largest body; FIB-25, bodies"
        against = f"kimimaro {KIMIMARO}, {name}"
        yield Skeletons(work, against, TARGET, {"bfly": ours, "peer": taken})


def _largest(path: Path) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return where the largest label is, with a margin of one voxel."""
    with h5py.File(path) as file:
        labels = file["main"][:]
    values, counts = np.unique(labels[labels > 0], return_counts=True)
    places = np.argwhere(labels == values[counts.argmax()])
    low, high = places.min(axis=0), places.max(axis=0) + 1
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    return np.pad(labels[box] == values[counts.argmax()], 1)


def _halved(mask: np.ndarray[Any, np.dtype[np.bool_]], times: int) -> Any:
    """Return a coarser mip by the majority of each block."""
    padded = np.pad(mask, [(0, -size % times) for size in mask.shape])
    z, y, x = (size // times for size in padded.shape)
    blocks = padded.reshape(z, times, y, times, x, times)
    return np.pad(blocks.sum(axis=(1, 3, 5)) * 2 > times**3, 1)


def _peer(python: str, path: Path, size: float) -> tuple[float, float]:
    words = [python, "-W", "ignore", "-c", PEER, str(path), str(size)]
    done = subprocess.run(words, check=True, capture_output=True, text=True, env={})
    taken, length = map(float, done.stdout.split()[-2:])
    return taken, length


def _check(made: Skeleton, length: float) -> None:
    if abs(made.lengths.sum() / length - 1) > FAR:
        raise WrongAnswer(f"{made.lengths.sum():.0f} nm, but kimimaro {length:.0f} nm")
