"""A table of a packed dataset as a Python object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bfly.databases.features import Features

__all__ = ["PackedTable"]


class PackedTable(Mapping[int, dict[str, Any]]):
    """The entries of a table by their ids, read from the database on each access.

    Parameters
    ----------
    database : Features
        The database.
    table, path : str
        The table, and its dataset.
    """

    def __init__(self, database: Features, table: str, path: str) -> None:
        self._database, self._table, self._path = database, table, path

    def __getitem__(self, key: int) -> dict[str, Any]:
        entry = self._database.get_by_key(self._table, self._path, key)
        if not entry:
            raise KeyError(key)
        return entry

    def __iter__(self) -> Iterator[int]:
        return iter(self._database.ids(self._table, self._path).tolist())

    def __len__(self) -> int:
        return self._database.count(self._table, self._path)
