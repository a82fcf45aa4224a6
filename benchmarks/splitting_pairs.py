"""Pairs of true bodies of FIB-25 that touch, with the points that a proofreader would place."""

from __future__ import annotations

import gzip
import io
from typing import TYPE_CHECKING, Any, NamedTuple

import h5py
import imagecodecs
import numpy as np

from benchmarks.data import shared_data
from bfly.splitting.fronts import Grid

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SIZE", "Joined", "Tissue", "Voxels", "joined", "tissue"]

Voxels = np.ndarray[Any, np.dtype[Any]]

SMALLEST_BODY, FEWEST_FACES = 5_000, 100
"""Voxels of each body, and faces between both: less is no neuron, or no contact to be seen."""

REACH, BETWEEN = 60, 20
"""Voxels: points are within the first of the contact, and this far from each other if they can."""

NEARER = 40
"""Voxels of distance from the contact that count as much as one voxel less of depth."""

DEEPEST = 20
"""Voxels of depth that are told apart."""

SIZE = (10.0, 10.0, 10.0)


class Tissue(NamedTuple):
    """Stored supervoxels, the body of each, and the electron micrograph."""

    supervoxels: Voxels
    body: Voxels
    image: Voxels


class Joined(NamedTuple):
    """Two true bodies, a voxel at their contact, and three points in each."""

    bodies: tuple[int, int]
    contact: Voxels
    points: tuple[Voxels, Voxels]


def tissue() -> Tissue:
    """Read FIB-25."""
    folder = shared_data() / "fib25"
    plain = gzip.decompress((folder / "groundtruth.h5.gz").read_bytes())
    with h5py.File(io.BytesIO(plain)) as file:
        supervoxels, rows = file["stack"][:], file["transforms"][:]
    body = np.zeros(rows[:, 0].max() + 1, np.int64)
    body[rows[:, 0]] = rows[:, 1]
    sections = sorted((folder / "grayscale").glob("*.png"))
    image = np.stack([imagecodecs.png_decode(path.read_bytes()) for path in sections])
    return Tissue(supervoxels, body, image)


def joined(data: Tissue, count: int) -> Iterator[Joined]:
    """Yield pairs at random, of all that touch and are large enough."""
    bodies = data.body[data.supervoxels]
    sizes = np.bincount(bodies.ravel())
    rows = []
    for axis in range(3):
        behind = np.delete(bodies, 0, axis)
        before = np.delete(bodies, -1, axis)
        place = np.stack(np.nonzero((before != behind) & (before > 0) & (behind > 0)))
        ends = np.sort(np.stack([before[tuple(place)], behind[tuple(place)]]), axis=0)
        rows.append(np.concatenate([ends, place]))
    faces = np.concatenate(rows, axis=1)
    faces = faces[:, np.lexsort(faces[1::-1])]
    begins = np.flatnonzero(np.diff(faces[0] * len(sizes) + faces[1], prepend=-1))
    pairs = [
        part
        for part in np.split(faces, begins[1:], axis=1)
        if part.shape[1] >= FEWEST_FACES and sizes[part[:2, 0]].min() >= SMALLEST_BODY
    ]
    for at in np.random.default_rng(21).permutation(len(pairs))[:count]:
        low, high = pairs[at][:2, 0].tolist()
        places = pairs[at][2:].T
        middle = places[((places - places.mean(axis=0)) ** 2).sum(axis=1).argmin()]
        points = _points(bodies, low, middle), _points(bodies, high, middle)
        yield Joined((low, high), middle, points)


def _points(bodies: Voxels, body: int, contact: Voxels) -> Voxels:
    """Choose three points: deep in the body, near the contact, apart from each other."""
    low = np.maximum(contact - REACH, 0)
    mask = bodies[tuple(slice(a, b + REACH + 1) for a, b in zip(low, contact, strict=True))] == body
    places = np.argwhere(mask) + low
    depth = Grid(mask, SIZE).depth(DEEPEST)
    score = depth - np.linalg.norm(places - contact, axis=1) / NEARER
    apart = np.full(len(places), float(BETWEEN))
    chosen = []
    for _ in range(3):
        # Where no voxel is far enough from the points before, the farthest is taken.
        chosen.append(places[np.where(apart >= BETWEEN, score, apart - 1000).argmax()])
        apart = np.minimum(apart, np.linalg.norm(places - chosen[-1], axis=1))
    return np.array(chosen)
