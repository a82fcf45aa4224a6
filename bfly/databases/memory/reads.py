"""Reading from sorted tables in memory."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from typing_extensions import override

from bfly.databases.memory.sorted import SortedSynapses
from bfly.databases.reader import Reader
from bfly.tables.columns import KEYS

if TYPE_CHECKING:
    from bfly.databases.memory.sorted import SortedTable
    from bfly.databases.reader import Ids
    from bfly.geometry import BoundingBox
    from bfly.tables.columns import Columns, Ranges

__all__ = ["SortedReads"]


class SortedReads(Reader):
    """Answers of a `Reader`, from a `SortedTable` for each table of a dataset."""

    @abstractmethod
    def _table(self, table: str, path: str) -> SortedTable:
        """Return a table, empty for an unknown dataset; that of synapses is `SortedSynapses`."""

    def _synapses(self, path: str) -> SortedSynapses:
        table = self._table("synapse", path)
        assert isinstance(table, SortedSynapses)
        return table

    @override
    def rows(self, table: str, path: str, ids: Ids) -> Columns:
        return self._table(table, path).rows(ids)

    @override
    def ids(self, table: str, path: str) -> Ids:
        return self._table(table, path).columns[KEYS[table]]

    @override
    def synapses_in(self, path: str, box: BoundingBox) -> Columns:
        return self._synapses(path).inside(box)

    @override
    def ids_in(self, path: str, box: BoundingBox) -> Ids:
        return self._synapses(path).ids_in(box)

    @override
    def thinned(self, path: str, first: int, last: int, box: BoundingBox) -> Columns:
        return self._synapses(path).thinned(first, last, box)

    @override
    def ranges(self, path: str) -> Ranges:
        return self._synapses(path).ranges

    @override
    def synapses_of(self, path: str, neuron: int, box: BoundingBox | None = None) -> Columns:
        return self._synapses(path).of(neuron, box)

    @override
    def synapses_of_any(self, path: str, neurons: Ids, box: BoundingBox | None = None) -> Columns:
        return self._synapses(path).of_any(neurons, box)

    @override
    def partners(self, path: str, neuron: int) -> tuple[Ids, Ids]:
        return self._synapses(path).partners(neuron)
