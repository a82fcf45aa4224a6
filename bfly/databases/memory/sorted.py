"""Sorted tables in memory, so that no query scans all rows."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bfly.databases.lod import tiers_of
from bfly.databases.memory.grid import Grid, joined
from bfly.tables.columns import IDS, KEYS, POINT, inside, ranges_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.databases.reader import Ids
    from bfly.geometry import BoundingBox
    from bfly.tables.columns import Columns, Ranges

    Rows = NDArray[np.intp]

__all__ = ["SortedSynapses", "SortedTable", "sorted_table"]


class SortedTable:
    """Rows sorted by id, each id once.

    Parameters
    ----------
    table : {"neuron", "synapse"}
        Kind of the rows.
    columns : Columns
        The rows; not copied.
    """

    def __init__(self, table: str, columns: Columns) -> None:
        self.columns = columns
        self._ids = columns[KEYS[table]]

    def __len__(self) -> int:
        return len(self._ids)

    def rows(self, ids: Ids) -> Columns:
        """Return the rows with the given ids, in that order, without missing ids."""
        if not len(self):
            return self._taken(np.empty(0, np.intp))
        places = np.searchsorted(self._ids, ids)
        places[places == len(self._ids)] = 0
        return self._taken(places[self._ids[places] == ids])

    def _taken(self, rows: Rows) -> Columns:
        return {name: column[rows] for name, column in self.columns.items()}


class SortedSynapses(SortedTable):
    """Synapses sorted by id, by grid cell, and by their neurons."""

    def __init__(self, table: str, columns: Columns) -> None:
        super().__init__(table, columns)
        self._grid = Grid([columns[name] for name in POINT])
        self._above: dict[int, _Above] = {}
        self._by_cell = [columns[name][self._grid.order] for name in IDS["synapse"]]
        self._orders = [np.argsort(columns[name], kind="stable") for name in ("n1", "n2")]
        self._neurons = [
            columns[name][order] for name, order in zip(("n1", "n2"), self._orders, strict=True)
        ]

    def ids_in(self, box: BoundingBox) -> Ids:
        """Return the ids of the synapses in a box, sorted."""
        runs, hit = self._grid.inside(box)
        ids: Ids = joined(self._by_cell[0], runs).compress(hit)
        ids.sort()
        return ids

    def inside(self, box: BoundingBox) -> Columns:
        """Return the synapses in a box."""
        return self.rows(self.ids_in(box))

    def thinned(self, first: int, last: int, box: BoundingBox) -> Columns:
        """Return the synapses of some tiers in a box."""
        if not first:
            ids = self.ids_in(box)
            return self.rows(ids[tiers_of(ids) <= last])
        above = self._above.get(first)
        if above is None:
            above = self._above[first] = _Above(self, first)
        return self._taken(above.inside(last, box))

    @cached_property
    def ranges(self) -> Ranges:
        """Ranges of the columns."""
        return ranges_of(self.columns)

    def of(self, neuron: int, box: BoundingBox | None) -> Columns:
        """Return the synapses of a neuron on either side, in a box if given."""
        pre, post = (self._side_rows(side, neuron) for side in (0, 1))
        if box is not None and self._grid.about(box) < len(pre) + len(post):
            return self.rows(self._ids_of_in(neuron, box))
        rows = np.concatenate([pre, post])
        rows.sort()
        # A synapse of a neuron with itself occurs twice.
        rows = rows[np.diff(rows, prepend=-1) > 0]
        if box is not None:
            rows = rows[inside({name: self.columns[name][rows] for name in POINT}, box)]
        return self._taken(rows)

    def of_any(self, neurons: Ids, box: BoundingBox | None) -> Columns:
        """Return the synapses of any of some neurons on either side, in a box if given."""
        parts: list[Rows] = []
        for order, known in zip(self._orders, self._neurons, strict=True):
            begins, ends = (known.searchsorted(neurons, side) for side in ("left", "right"))
            there = np.flatnonzero(ends > begins)
            runs = zip(begins[there].tolist(), ends[there].tolist(), strict=True)
            parts += [order[begin:end] for begin, end in runs]
        rows = np.unique(np.concatenate([np.empty(0, np.intp), *parts]))
        if box is not None:
            rows = rows[inside({name: self.columns[name][rows] for name in POINT}, box)]
        return self._taken(rows)

    def _ids_of_in(self, neuron: int, box: BoundingBox) -> Ids:
        runs, hit = self._grid.inside(box)
        ids, pre, post = (joined(column, runs) for column in self._by_cell)
        hit &= (pre == np.uint64(neuron)) | (post == np.uint64(neuron))
        return np.sort(ids[hit])

    def partners(self, neuron: int) -> tuple[Ids, Ids]:
        """Return the postsynaptic, then the presynaptic partners of a neuron, one per synapse."""
        after = self.columns["n2"][self._side_rows(0, neuron)]
        return after, self.columns["n1"][self._side_rows(1, neuron)]

    def _side_rows(self, side: int, neuron: int) -> Rows:
        key, neurons = np.uint64(neuron), self._neurons[side]
        begin, end = neurons.searchsorted(key, "left"), neurons.searchsorted(key, "right")
        return self._orders[side][begin:end]


class _Above:
    """Synapses of a tier and above, sorted by grid cell."""

    def __init__(self, table: SortedTable, tier: int) -> None:
        tiers = tiers_of(table.columns[KEYS["synapse"]])
        rows = np.flatnonzero(tiers >= tier)
        self._grid = Grid([table.columns[name][rows] for name in POINT])
        self._rows = rows[self._grid.order]
        self._tiers = tiers[self._rows]

    def inside(self, last: int, box: BoundingBox) -> Rows:
        """Return the rows up to a tier in a box."""
        runs, hit = self._grid.inside(box)
        hit &= joined(self._tiers, runs) <= last
        rows: Rows = joined(self._rows, runs)[hit]
        return rows


def sorted_table(table: str, columns: Columns) -> SortedTable:
    """Return a table of rows that are sorted by id, each id once."""
    return (SortedSynapses if table == "synapse" else SortedTable)(table, columns)
