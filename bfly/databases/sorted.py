"""Tables in memory, sorted so that no question looks at all rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.databases.columns import KEYS, POINT, inside

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.databases.columns import Columns
    from bfly.geometry import BoundingBox

    Rows = NDArray[np.intp]

__all__ = ["SortedSynapses", "SortedTable"]

PER_CELL = 64
"""How many synapses a cell of the grid holds on average: few to filter, few cells to visit."""


class SortedTable:
    """Rows sorted by id, each id once.

    Parameters
    ----------
    table : {"neuron", "synapse"}
        What the rows are.
    columns : Columns
        The rows, which are not copied.
    """

    def __init__(self, table: str, columns: Columns) -> None:
        self.columns = columns
        self._ids = columns[KEYS[table]]

    def __len__(self) -> int:
        return len(self._ids)

    def rows(self, ids: NDArray[np.uint64]) -> Columns:
        """Give the rows with some ids, in that order; ids that are not there are left out."""
        if not len(self):
            return self._taken(np.empty(0, np.intp))
        places = np.searchsorted(self._ids, ids)
        places[places == len(self._ids)] = 0
        return self._taken(places[self._ids[places] == ids])

    def _taken(self, rows: Rows) -> Columns:
        return {name: column[rows] for name, column in self.columns.items()}


class SortedSynapses(SortedTable):
    """Synapses sorted by id, by the cell of a grid that they lie in, and by their neurons."""

    def __init__(self, table: str, columns: Columns) -> None:
        super().__init__(table, columns)
        if len(self):
            self._sort_by_cell()
            self._sort_by_neuron()

    def _sort_by_cell(self) -> None:
        points = [self.columns[name] for name in POINT]
        low = np.array([p.min() for p in points])
        extent = np.array([p.max() for p in points]) - low + 1
        # Cubes of the size at which the grid has as many cells as there are groups of rows;
        # an axis that is shorter than a cube has one cell.
        wanted = max(1.0, len(self) / PER_CELL)
        side = max(1, int(np.ceil((np.prod(extent.astype(float)) / wanted) ** (1 / 3))))
        self._low, self._side = low, side
        self._grid = -(-extent // side)
        z, y, x = ((p - a) // side for p, a in zip(points, low, strict=True))
        cells = (z * self._grid[1] + y) * self._grid[2] + x
        self._by_cell = np.argsort(cells, kind="stable")
        self._starts = np.searchsorted(
            cells[self._by_cell], np.arange(int(np.prod(self._grid)) + 1)
        )
        self._points = np.stack([p[self._by_cell] for p in points])

    def _sort_by_neuron(self) -> None:
        self._orders = [np.argsort(self.columns[name], kind="stable") for name in ("n1", "n2")]
        self._neurons = [
            self.columns[name][order]
            for name, order in zip(("n1", "n2"), self._orders, strict=True)
        ]

    def inside(self, box: BoundingBox) -> Columns:
        """Give the synapses in a box."""
        return self._taken(np.sort(self._rows_inside(box)))

    def _rows_inside(self, box: BoundingBox) -> Rows:
        if not len(self) or not box.size:
            return np.empty(0, np.intp)
        start, stop = np.array(box.start), np.array(box.stop)
        first = np.clip((start - self._low) // self._side, 0, self._grid)
        last = np.clip((stop - 1 - self._low) // self._side + 1, 0, self._grid)
        if (first >= last).any():
            return np.empty(0, np.intp)
        z = np.arange(first[0], last[0])[:, None]
        y = np.arange(first[1], last[1])[None, :]
        runs = ((z * self._grid[1] + y) * self._grid[2]).ravel()
        begins, ends = self._starts[runs + first[2]], self._starts[runs + last[2]]
        near = _ranges(begins, ends)
        points = self._points[:, near]
        hit = (points >= start[:, None]).all(axis=0) & (points < stop[:, None]).all(axis=0)
        return self._by_cell[near[hit]]

    def _side_rows(self, side: int, neuron: int) -> Rows:
        key = np.uint64(neuron)
        neurons = self._neurons[side]
        begin, end = np.searchsorted(neurons, key, "left"), np.searchsorted(neurons, key, "right")
        return self._orders[side][begin:end]

    def of(self, neuron: int, box: BoundingBox | None) -> Columns:
        """Give the synapses before and after a neuron, those in a box if given."""
        if not len(self):
            return self._taken(np.empty(0, np.intp))
        pre, post = (self._side_rows(side, neuron) for side in (0, 1))
        rows = np.union1d(pre, post) if len(pre) and len(post) else np.sort(np.append(pre, post))
        if box is None:
            return self._taken(rows)
        points = {name: self.columns[name][rows] for name in POINT}
        return self._taken(rows[inside(points, box)])

    def partners(self, neuron: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Give, for each synapse, the neuron after `neuron`; then likewise those before it."""
        if not len(self):
            return np.empty(0, np.uint64), np.empty(0, np.uint64)
        after = self.columns["n2"][self._side_rows(0, neuron)]
        return after, self.columns["n1"][self._side_rows(1, neuron)]


def _ranges(begins: Rows, ends: Rows) -> Rows:
    """Give all numbers of some ranges, one range after the other."""
    sizes = ends - begins
    total = int(sizes.sum())
    if not total:
        return np.empty(0, np.intp)
    steps = np.ones(total, np.intp)
    some = sizes > 0
    begins, sizes = begins[some], sizes[some]
    at = np.cumsum(sizes[:-1])
    steps[0] = begins[0]
    steps[at] = begins[1:] - (begins[:-1] + sizes[:-1] - 1)
    return np.cumsum(steps)
