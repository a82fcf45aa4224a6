"""Shapes of neurons on a coarse grid: somata from which branches grow, and axons between them."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Cell = tuple[int, ...]

__all__ = ["Neurites", "grown"]

CELLS_OF_NEURON = 140
"""Cells of the grid for each neuron: some three dozen in the demonstration."""

SOMA = 2.0
"""Radius of a soma in cells."""

TRUNKS = 4, 8
"""Branches that leave a soma, from and below."""

FORK = 0.08
"""Chance at each step that a branch forks."""

BEND = 0.25
"""How much of the direction is new at each step."""

LENGTH = 60
"""Most steps of a branch."""

AXON = 40
"""Most steps of a piece of an axon, from its middle in both directions."""

STEPS = [step for step in product((-1, 0, 1), repeat=3) if sum(map(abs, step)) == 1]


class Neurites(NamedTuple):
    """What each cell belongs to.

    Parameters
    ----------
    owner : numpy.ndarray
        intp, the neurite of each cell of the grid, flat.
    somata : list of tuple of int
        Cell in the middle of each soma; that of place i belongs to the neurite i.
    """

    owner: NDArray[np.intp]
    somata: list[Cell]


def grown(rng: np.random.Generator, grid: list[int], margin: int) -> Neurites:
    """Return neurites that fill a grid.

    Parameters
    ----------
    rng : numpy.random.Generator
        The same state makes the same neurites.
    grid : list of int
        Cells (z, y, x).
    margin : int
        Cells on each side that are outside the volume: no soma is there, and branches end.
    """
    growth = _Growth(rng, np.full(grid, -1), margin)
    growth.neurons()
    growth.axons()
    return Neurites(growth.owner.ravel(), growth.somata)


class _Tip(NamedTuple):
    """The end of a branch that grows."""

    cell: Cell
    direction: NDArray[np.float64]
    left: int


class _Growth:
    def __init__(self, rng: np.random.Generator, owner: NDArray[np.intp], margin: int) -> None:
        self.rng, self.owner, self.margin = rng, owner, margin
        self.somata: list[Cell] = []
        self.count = 0

    def neurons(self) -> None:
        """Place somata, and let the branches of all neurons grow at the same time."""
        margin = self.margin
        inner = [max(size - 2 * margin, 1) for size in self.owner.shape]
        wanted = int(np.prod(inner)) // CELLS_OF_NEURON
        tips: dict[int, list[_Tip]] = {}
        for place in self.rng.permutation(np.argwhere(np.ones(inner))) + margin:
            if self.count >= wanted:
                break
            ball = self._ball(place)
            if (self.owner[ball] >= 0).any():
                continue
            self.owner[ball] = self.count
            self.somata.append(tuple(place.tolist()))
            trunks = int(self.rng.integers(*TRUNKS))
            directions = self.rng.normal(size=(trunks, 3))
            tips[self.count] = [_Tip(tuple(place.tolist()), one, LENGTH) for one in directions]
            self.count += 1
        while any(tips.values()):
            for neuron, own in tips.items():
                tips[neuron] = [tip for one in own for tip in self._steps(neuron, one)]

    def _ball(self, place: NDArray[np.intp]) -> tuple[NDArray[np.intp], ...]:
        reach = int(np.ceil(SOMA))
        offsets = np.argwhere(np.ones([2 * reach + 1] * 3)) - reach
        cells = place + offsets[np.square(offsets).sum(axis=1) <= SOMA**2]
        inside = ((cells >= 0) & (cells < self.owner.shape)).all(axis=1)
        return tuple(cells[inside].T)

    def _steps(self, neuron: int, tip: _Tip) -> list[_Tip]:
        """Return what becomes of a tip: it moves on, forks, or ends."""
        direction = tip.direction / np.linalg.norm(tip.direction)
        direction = direction + BEND * self.rng.normal(size=3)
        for step in sorted(STEPS, key=lambda step: -float(np.dot(step, direction)))[:3]:
            cell = tuple(int(a + b) for a, b in zip(tip.cell, step, strict=True))
            if not self._has(cell):
                continue
            leaves = tip.left == LENGTH
            if leaves and self.owner[cell] == neuron:
                return [tip._replace(cell=cell)]
            if self.owner[cell] < 0 and (leaves or not self._is_crowded(neuron, cell)):
                self.owner[cell] = neuron
                moved = _Tip(cell, direction, tip.left - 1)
                forks = [moved] if self.rng.random() < FORK else []
                forks = [one._replace(direction=self.rng.normal(size=3)) for one in forks]
                # A branch that leaves the volume does not come back as a loose piece.
                return [moved, *forks] if moved.left and self._is_inside(cell) else []
        return []

    def _is_crowded(self, neuron: int, cell: Cell) -> bool:
        """Return whether more of a neuron is around a cell than the last two cells of a branch."""
        around = tuple(slice(max(at - 1, 0), at + 2) for at in cell)
        return int((self.owner[around] == neuron).sum()) > 2

    def _has(self, cell: Cell) -> bool:
        return all(0 <= i < n for i, n in zip(cell, self.owner.shape, strict=True))

    def _is_inside(self, cell: Cell) -> bool:
        sizes = zip(cell, self.owner.shape, strict=True)
        return all(self.margin <= i < size - self.margin for i, size in sizes)

    def axons(self) -> None:
        """Fill what is left with pieces of axons: walks in a steady direction."""
        owner = self.owner
        for start in self.rng.permutation(np.argwhere(owner < 0)):
            if owner[tuple(start)] >= 0:
                continue
            direction = self.rng.normal(size=3)
            chance = np.abs(direction) / np.abs(direction).sum()
            here = start.copy()
            for way in (1, -1):
                here = start.copy()
                for axis in self.rng.choice(3, AXON, p=chance):
                    owner[tuple(here)] = self.count
                    here[axis] += way * int(np.sign(direction[axis]))
                    if not self._has(tuple(here)) or owner[tuple(here)] not in (-1, self.count):
                        break
            # Where the second way ended is another neurite, or outside.
            if (owner == self.count).sum() == 1 and self._has(tuple(here)):
                owner[tuple(start)] = owner[tuple(here)]  # too small for a piece of its own
                continue
            self.count += 1
