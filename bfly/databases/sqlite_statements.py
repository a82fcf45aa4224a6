"""Statements and transactions in the file of a SQLite database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from bfly.databases.sqlite_file import SqliteFile
from bfly.edits.sql_statements import SqlStatements, numbered

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

__all__ = ["SqliteStatements"]

PATIENCE = 30
"""Seconds to wait for another writer. An edit takes milliseconds. A load takes minutes, and no
thread should wait for all of it."""


class SqliteStatements(SqlStatements):
    """Base of what is kept in the file of a database.

    Parameters
    ----------
    path : str
        The file of a database. It is not memory-mapped, so that a truncated file is an error
        instead of a crash.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self._file = SqliteFile(path, PATIENCE)

    @override
    def _transaction(self) -> AbstractContextManager[None]:
        return self._file.transaction()

    @override
    def _ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._file.connected() as connection:
            # An edit in a deleted file would be invisible to other processes.
            self._file.check()
            return connection.execute(query, numbered(values)).fetchall()

    @override
    def _change(self, query: str, *values: Any) -> None:
        with self._file.connected() as connection:
            connection.execute(query, numbered(values))

    @override
    def _exists(self, table: str) -> bool:
        return bool(self._ask("select 1 from sqlite_schema where name = $1", table))
