"""Database in memory; its data is lost when the process ends."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from typing_extensions import override

from bfly.concurrency.threads import starting
from bfly.databases.engine import Engine
from bfly.databases.memory.reads import SortedReads
from bfly.databases.memory.sorted import SortedSynapses, SortedTable, sorted_table
from bfly.databases.store import amended, numbered
from bfly.tables.columns import KEYS, concatenated, empty, latest, typed, unplaced

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bfly.databases.store import Progress
    from bfly.keywords import RUNTIME
    from bfly.tables.columns import Columns

__all__ = ["Nodb"]

Name = tuple[str, str]


class Nodb(SortedReads, Engine):
    """Database in memory; same parameters as `Database`.

    Written rows are kept in a list until the next read. That read sorts a new table and
    replaces the old one in one step, so that readers need no lock.
    """

    def __init__(self, path: str, _runtime: RUNTIME) -> None:
        super().__init__(path, _runtime)
        self._paths: dict[str, str] = {}
        self._fingerprints: dict[str, str] = {}
        self._changes: Counter[str] = Counter()
        self._tables: dict[Name, SortedTable] = {}
        self._written: dict[Name, list[Columns]] = {}
        self._writing = threading.RLock()

    @override
    def add_path(self, c_path: str, d_path: str) -> None:
        self._paths[c_path] = d_path

    @override
    def get_path(self, path: str) -> str:
        return self._paths.get(path, path)

    @override
    def add_table(self, table: str, path: str) -> bool:
        with self._writing:
            self._written.setdefault((table, self.dataset(path)), [])
        return True

    @override
    def get_table(self, table: str, path: str) -> SortedTable | None:
        name = table, self.dataset(path)
        return self._table(*name) if name in self._written or name in self._tables else None

    @override
    def commit(self) -> None:
        """Do nothing: there is no file."""

    @override
    def fingerprint(self, path: str) -> str:
        return self._fingerprints.get(path, "")

    @override
    def state(self, path: str) -> str:
        return str(self._changes[path])

    @override
    def replace(
        self,
        path: str,
        fingerprint: str,
        neurons: Iterable[Columns],
        synapses: Iterable[Columns],
        progress: Progress | None = None,
    ) -> None:
        rows = latest("synapse", concatenated("synapse", synapses))
        somas = latest("neuron", concatenated("neuron", neurons))
        # Both sorts take seconds, and numpy releases the GIL while it sorts.
        with ThreadPoolExecutor(1) as pool:
            with starting():
                more = pool.submit(unplaced, rows, somas["neuron"])
            sorted_rows = SortedSynapses("synapse", rows)
        placed = concatenated("neuron", [more.result(), somas])
        tables = {
            ("synapse", path): sorted_rows,
            ("neuron", path): SortedTable("neuron", latest("neuron", placed)),
        }
        with self._writing:
            for name in tables:
                self._written.pop(name, None)
            self._tables = {**self._tables, **tables}
            self._fingerprints[path] = fingerprint
            self._changes[path] += 1

    @override
    def upsert(self, table: str, path: str, columns: Columns) -> None:
        with self._writing:
            self._written.setdefault((table, path), []).append(columns)
            self._changes[path] += 1

    @override
    def append(self, table: str, path: str, columns: Columns) -> Columns:
        with self._writing:
            columns = numbered(table, columns, self.ids(table, path))
            self.upsert(table, path, columns)
        return columns

    @override
    def amend(self, table: str, path: str, columns: Columns) -> Columns:
        key = typed(table, columns)[KEYS[table]]
        with self._writing:
            columns = amended(table, self.rows(table, path, key), columns)
            self.upsert(table, path, columns)
        return columns

    @override
    def _table(self, table: str, path: str) -> SortedTable:
        name = table, path
        if self._written.get(name):
            with self._writing:
                parts = self._written.pop(name, [])
                old = self._tables.get(name)
                rows = concatenated(table, [*([old.columns] if old else []), *parts])
                self._tables = {**self._tables, name: sorted_table(table, latest(table, rows))}
        return self._tables.get(name) or sorted_table(table, empty(table))
