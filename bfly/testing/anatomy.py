"""What lies where in synthetic tissue, decided before a voxel is drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bfly.testing.neurites import grown

if TYPE_CHECKING:
    from bfly.geometry import Zyx

__all__ = ["Anatomy", "Contact", "Floats", "Organelle"]

Floats = NDArray[np.float32]

CELL = 17.0
"""Voxels between the seeds of neighbouring supervoxels."""

MARGIN = 2
"""Cells of the grid of seeds on every side of the volume, for voxels that are warped outside."""

NUCLEUS = 21.0
"""Radius of a nucleus in voxels."""

AT = np.zeros(3)
"""Axis of a ball."""

WARPS = ((42.0, 13.0), (15.0, 4.0))
"""Wavelength and strength, in voxels, of the noises that bend straight walls."""


class Noise:
    """Smooth random values on the voxel grid: a cubic B-spline over few random numbers."""

    def __init__(self, rng: np.random.Generator, shape: Zyx, wavelength: float) -> None:
        self.weights = [_spline(n, wavelength) for n in shape]
        size = tuple(w.shape[1] for w in self.weights)
        self.coarse = rng.standard_normal(size, np.float32)

    def sections(self, z: slice) -> Floats:
        """Return the values of some sections, shape (sections, y, x)."""
        along_z, along_y, along_x = self.weights
        return np.asarray(
            along_y @ np.tensordot(along_z[z], self.coarse, 1) @ along_x.T, np.float32
        )

    def at(self, voxel: NDArray[Any]) -> float:
        """Return the value of one voxel (z, y, x), or of the nearest inside the volume."""
        rows = [
            w[min(max(int(i), 0), len(w) - 1)] for w, i in zip(self.weights, voxel, strict=True)
        ]
        return float(self.coarse @ rows[2] @ rows[1] @ rows[0])


def _spline(n: int, wavelength: float) -> Floats:
    """Return the weights of uniform cubic B-splines, shape (n voxels, coarse points)."""
    base, t = np.divmod(np.arange(n) / wavelength, 1)
    weights = np.zeros((n, int(base[-1]) + 4), np.float32)
    parts = (1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, 3 * t * (1 + t - t**2) + 1, t**3
    for k, part in enumerate(parts):
        weights[np.arange(n), base.astype(int) + k] = part / 6
    return weights


@dataclass(frozen=True)
class Organelle:
    """A capsule inside one neurite; a ball where its axis has no length.

    Parameters
    ----------
    centre, axis : numpy.ndarray
        Voxels (z, y, x); the axis goes from ``centre - axis`` to ``centre + axis``.
    radius : float
        Voxels.
    neurite : int
        The neurite outside which nothing of it is drawn.
    """

    centre: NDArray[Any]
    axis: NDArray[Any]
    radius: float
    neurite: int

    def is_in(self, z: slice) -> bool:
        """Return whether some of it may be in the sections `z`."""
        reach = abs(self.axis[0]) + self.radius + 2
        return bool(z.start - reach - 1 < self.centre[0] < z.stop + reach)

    def box(self, z: slice, shape: Zyx) -> tuple[slice, ...]:
        """Return the part of the sections `z` of a volume that holds all of it."""
        reach = np.abs(self.axis) + self.radius + 2
        limits = (z.start, z.stop), (0, shape[1]), (0, shape[2])
        corners = zip(self.centre - reach, self.centre + reach + 1, limits, strict=True)
        return tuple(
            slice(*(min(max(int(at), low), high) for at in (a, b))) for a, b, (low, high) in corners
        )

    def distance(self, box: tuple[slice, ...]) -> tuple[Floats, Floats]:
        """Return the voxels' distance from the axis, and where along it they are (-1 to 1)."""
        offset = [
            grid.astype(np.float32) - np.float32(c)
            for grid, c in zip(np.ogrid[box], self.centre, strict=True)
        ]
        axis = self.axis.astype(np.float32)
        length2 = max(float(axis @ axis), 1)
        along = np.clip(sum(o * a for o, a in zip(offset, axis, strict=True)) / length2, -1, 1)
        gaps = (o - along * a for o, a in zip(offset, axis, strict=True))
        return np.sqrt(sum(gap * gap for gap in gaps)), along


class Contact(NamedTuple):
    """A synapse.

    Parameters
    ----------
    place : numpy.ndarray
        Voxel (z, y, x), near where the neurites touch.
    pre, post : int
        The neurites.
    """

    place: NDArray[Any]
    pre: int
    post: int


class Anatomy:
    """All that is decided before a voxel is drawn; the same for the same shape and seed.

    A supervoxel is known by its cell, the flat index into a grid with one seed in every cell.
    """

    def __init__(self, shape: Zyx, seed: int) -> None:
        self.shape, self.seed = shape, seed
        rng = np.random.default_rng(seed)
        self.grid = [math.ceil(n / CELL) + 2 * MARGIN for n in shape]
        lattice = np.indices(self.grid).reshape(3, -1)
        self.seeds = (lattice + rng.uniform(0.15, 0.85, lattice.shape)).astype(np.float32)
        self.growth = rng.uniform(0, 0.3, lattice.shape[1]).astype(np.float32)
        self.neurites, somata = grown(rng, self.grid, MARGIN)
        self.warps = [[(Noise(rng, shape, w), s) for w, s in WARPS] for _ in range(3)]
        self.texture = Noise(rng, shape, 4.0)
        count = self.neurites.max() + 1
        self.tint = rng.normal(0, 6, count).astype(np.float32)
        names = rng.permutation(count).astype(np.uint64) + np.uint64(1)
        names[::2] += np.uint64(864_691_135_000_000_000)  # does not fit a float64
        self.segment_ids = names[self.neurites]
        self.supervoxel_ids = np.uint64(72_057_594_037_927_936) + rng.permutation(
            lattice.shape[1]
        ).astype(np.uint64)
        self.nuclei = [
            Organelle(
                self._voxel(self.seeds[:, np.ravel_multi_index(soma, self.grid)]),
                AT,
                NUCLEUS,
                number,
            )
            for number, soma in enumerate(somata)
        ]
        self.mitochondria: list[Organelle] = []
        self.vesicles: list[Organelle] = []
        self.densities: list[Organelle] = []
        self.contacts: list[Contact] = []
        self._organelles(rng)

    def cells(self, z: slice) -> NDArray[np.intp]:
        """Return the cell that each voxel of some sections belongs to, shape (sections, y, x).

        This is a power diagram (a Voronoi diagram of weighted seeds) of the warped
        voxels, but only among the eight seeds around: that leaves no gaps either.
        """
        at = [
            (sum((s * noise.sections(z) for noise, s in warp), place) / CELL + MARGIN)
            for warp, place in zip(
                self.warps, np.ogrid[z, : self.shape[1], : self.shape[2]], strict=True
            )
        ]
        strides = self.grid[1] * self.grid[2], self.grid[2], 1
        result = np.empty(at[0].shape, np.intp)
        for section, *p in zip(result, *at, strict=True):  # one at a time stays in the cache
            p = [a.astype(np.float32) for a in p]
            corner = sum(
                np.clip((a - 0.5).astype(np.intp), 0, n - 2) * stride
                for a, n, stride in zip(p, self.grid, strides, strict=True)
            )
            nearest = np.full(section.shape, np.inf, np.float32)
            for step in product((0, 1), repeat=3):
                cell = corner + int(np.dot(step, strides))
                distance = -self.growth.take(cell)
                for a, seeds in zip(p, self.seeds, strict=True):
                    distance += np.square(a - seeds.take(cell))
                nearer = distance < nearest
                np.copyto(section, cell, where=nearer)
                np.minimum(nearest, distance, out=nearest)
        return result

    def _voxel(self, place: NDArray[Any]) -> NDArray[Any]:
        """Return the voxel (z, y, x) that the warp takes to a place among the seeds."""
        straight = voxel = (place - MARGIN) * CELL
        for _ in range(3):
            voxel = straight - [sum(s * noise.at(voxel) for noise, s in w) for w in self.warps]
        return voxel

    def _organelles(self, rng: np.random.Generator) -> None:
        """Place mitochondria along neurites, and synapses where two neurites touch."""
        cells = np.arange(self.neurites.size).reshape(self.grid)
        for axis in range(3):
            pairs = [np.delete(cells, end, axis).ravel() for end in (-1, 0)]
            for a, b, luck in zip(*pairs, rng.random(pairs[0].size), strict=True):
                neurite = self.neurites[a]
                together = neurite == self.neurites[b]
                if luck > (0.08 if together else 0.05):
                    continue
                between = ((self.seeds[:, a] + self.seeds[:, b]) / 2 - MARGIN) * CELL
                if ((between < -2 * CELL) | (between > np.add(self.shape, 2 * CELL))).any():
                    continue
                start, end = self._voxel(self.seeds[:, a]), self._voxel(self.seeds[:, b])
                half = (end - start) / 2
                if together:
                    radius = rng.uniform(4, 7)
                    self.mitochondria.append(Organelle(start + half, half, radius, neurite))
                    continue
                self.contacts.append(Contact(start + half, int(neurite), int(self.neurites[b])))
                self.densities.append(Organelle(start + half, AT, 9, self.neurites[b]))
                self.vesicles += [
                    Organelle(spot, AT, 2.2, neurite)
                    for spot in rng.normal(start + 0.45 * half, 4.5, (40, 3))
                ]
