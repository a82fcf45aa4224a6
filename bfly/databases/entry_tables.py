"""Adapter of the documented databases: their entries, read as columns of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import xxhash
from typing_extensions import override

from bfly.databases.entries import as_entry
from bfly.databases.features import Features
from bfly.databases.memory.reads import SortedReads
from bfly.databases.memory.sorted import sorted_table
from bfly.errors import DatabaseError
from bfly.tables.columns import KEYS, empty, entries_of, latest, typed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bfly.databases.memory.sorted import SortedTable
    from bfly.keywords import RUNTIME
    from bfly.tables.columns import Columns

__all__ = ["EntryTables"]


class Entries(Protocol):
    """What is asked of a database; `Database` documents the methods."""

    RUNTIME: RUNTIME

    def get_path(self, path: str) -> str:
        """Return the dataset of a path."""

    def get_all(self, table: str, path: str) -> Any:
        """Return all entries of a table."""

    def get_by_key(self, table: str, path: str, key: int) -> Any:
        """Return the entry with a key."""


class EntryTables(SortedReads, Features):
    """The tables of a database that implements the documented methods alone.

    A table is read whole, at the first question that needs it, and kept: an instance answers
    one request.

    Parameters
    ----------
    database : Entries
        Its `get_all` gives the entries; see there for their forms.

    Raises
    ------
    DatabaseError
        On reading a table: its entries have another form.
    """

    def __init__(self, database: Entries) -> None:
        self.RUNTIME = database.RUNTIME
        self._database = database
        self._tables: dict[tuple[str, str], SortedTable] = {}

    @override
    def dataset(self, path: str) -> str:
        return self._database.get_path(path)

    @override
    def state(self, path: str) -> str:
        columns = [self._table(table, path).columns for table in KEYS]
        text = repr([{name: column.tolist() for name, column in c.items()} for c in columns])
        return xxhash.xxh128_hexdigest(text.encode())

    @override
    def get_by_key(self, table: str, path: str, key: int) -> dict[str, Any]:
        if not 0 <= key < 2**64:
            # No id; a database may not even be able to look for it.
            return {}
        found = self._database.get_by_key(table, path, key)
        entry = as_entry(found, self.RUNTIME.DB.TABLE[table].FULL_LIST)
        return entries_of(_typed(table, list(entry), [entry]))[0] if entry else {}

    @override
    def _table(self, table: str, path: str) -> SortedTable:
        name = table, path
        if name not in self._tables:
            self._tables[name] = sorted_table(table, latest(table, self._columns(table, path)))
        return self._tables[name]

    def _columns(self, table: str, path: str) -> Columns:
        entries = self._database.get_all(table, path)
        if entries is None or isinstance(entries, str):
            return empty(table)
        try:
            rows = self._rows(table, entries)
        except (TypeError, ValueError) as error:
            raise DatabaseError(
                f"The {table}s of {path} cannot be listed from a {type(entries).__name__} "
                f"({error}): get_all of {type(self._database).__name__} has to give entries."
            ) from error
        if not rows:
            return empty(table)
        names = [name for name in rows[0] if all(name in row for row in rows)]
        if KEYS[table] not in names:
            raise DatabaseError(f"Not every entry of the {table}s of {path} has a {KEYS[table]}.")
        return _typed(table, names, rows)

    def _rows(self, table: str, entries: Iterable[Any]) -> list[Mapping[str, Any]]:
        """Return all entries as mappings; the keys of a mapping of entries are their ids."""
        names = self.RUNTIME.DB.TABLE[table].FULL_LIST
        if not isinstance(entries, Mapping):
            return [as_entry(entry, names) for entry in entries]
        # Another thread may add entries meanwhile.
        items = list(entries.items())
        return [{KEYS[table]: key, **as_entry(entry, names)} for key, entry in items]


def _typed(table: str, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Columns:
    return typed(table, {n: np.array([row[n] for row in rows], object) for n in names})
