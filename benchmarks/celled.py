"""What databases are compared with: the same tables in memory, sorted by cell, plain numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.synapses import MICROMETRE
from bfly.geometry import BoundingBox, zyx

if TYPE_CHECKING:
    from benchmarks.synapses import Column, Columns

__all__ = ["Celled"]

CELL = 5 * MICROMETRE
"""A cell has about 125 synapses, a box of 1,000 touches some 30 of them."""


class Celled:
    """Synapses sorted by the cell of a grid, with indexes of their ids and their neurons.

    Parameters
    ----------
    columns : Columns
        A tile of `benchmarks.synapses`.
    """

    def __init__(self, columns: Columns) -> None:
        points = [columns[axis] for axis in "zyx"]
        self.stop = np.array([p.max() + 1 for p in points])
        self.grid = -(-self.stop // CELL)
        cells = np.ravel_multi_index([p // s for p, s in zip(points, CELL, strict=True)], self.grid)
        order = np.argsort(cells, kind="stable")
        self.columns = {name: column[order] for name, column in columns.items()}
        self.starts = np.searchsorted(cells[order], np.arange(self.grid.prod() + 1))
        self.rows = {name: np.argsort(self.columns[name]) for name in ("id", "pre", "post")}
        self.sorted = {name: self.columns[name][rows] for name, rows in self.rows.items()}

    def point(self, number: int) -> tuple[int, ...]:
        """Give a synapse: id, pre, post, z, y, x."""
        row = self.rows["id"][np.searchsorted(self.sorted["id"], np.uint64(number))]
        return tuple(int(column[row]) for column in self.columns.values())

    def near(self, box: BoundingBox) -> Column:
        """Give the rows of all cells that a box touches."""
        first = np.maximum(np.array(box.start) // CELL, 0)
        last = np.minimum((np.array(box.stop) - 1) // CELL + 1, self.grid)
        z, y, x = (np.arange(a, b) for a, b in zip(first, last, strict=True))
        cells = ((z[:, None, None] * self.grid[1] + y[:, None]) * self.grid[2] + x).ravel()
        begins, ends = self.starts[cells].tolist(), self.starts[cells + 1].tolist()
        return np.concatenate([np.arange(a, b) for a, b in zip(begins, ends, strict=True)])

    def _inside(self, box: BoundingBox) -> Column:
        rows = self.near(box)
        hit = np.ones(len(rows), bool)
        for axis, start, stop in zip("zyx", box.start, box.stop, strict=True):
            values = self.columns[axis][rows]
            hit &= (values >= start) & (values < stop)
        return rows[hit]

    def box(self, box: BoundingBox) -> list[int]:
        """Give the ids of the synapses in a box, sorted."""
        ids: list[int] = np.sort(self.columns["id"][self._inside(box)]).tolist()
        return ids

    def children(self, neuron: int, box: BoundingBox) -> dict[int, int]:
        """Give the synapses of a neuron in a box, with 1 where it is before, 2 where after."""
        rows = self._inside(box)
        pre, post = (self.columns[name][rows] == np.uint64(neuron) for name in ("pre", "post"))
        sides, hit = pre + 2 * post, pre | post
        ids = self.columns["id"][rows[hit]]
        return dict(zip(ids.tolist(), sides[hit].tolist(), strict=True))

    def partners(self, neuron: int) -> tuple[Any, ...]:
        """Give the neurons after a neuron and how often they are, then those before it."""
        result = []
        for own, other in (("pre", "post"), ("post", "pre")):
            ends = np.array([neuron, neuron + 1], np.uint64)
            begin, end = np.searchsorted(self.sorted[own], ends)
            rows = self.rows[own][begin:end]
            result += np.unique(self.columns[other][rows], return_counts=True)
        return tuple(result)

    def box_around(self, row: int, wanted: int) -> BoundingBox:
        """Give a box around a synapse with about so many, as wide in µm on all axes."""
        middle = np.array([self.columns[axis][row] for axis in "zyx"])
        reach, rows = 4, np.empty(0, np.int64)
        while len(rows) < 10 * wanted:
            reach *= 2
            half = reach * MICROMETRE
            rows = self.near(BoundingBox(zyx(middle - half), zyx(middle + half)))
        points = np.stack([self.columns[axis][rows] for axis in "zyx"], axis=1)
        away = np.sort((np.abs(points - middle) / MICROMETRE).max(axis=1))
        half = np.ceil(away[wanted - 1] * MICROMETRE).astype(np.int64)
        whole = BoundingBox((0, 0, 0), zyx(self.stop))
        return BoundingBox(zyx(middle - half), zyx(middle + half + 1)) & whole
