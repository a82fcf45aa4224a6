"""Log of edits in SQLite."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from bfly.databases.sqlite_file import SqliteFile
from bfly.edits.sql_log import SqlLog

if TYPE_CHECKING:
    import sqlite3
    from contextlib import AbstractContextManager

__all__ = ["SqliteLog"]

PATIENCE = 30
"""Seconds to wait for another writer. An edit takes milliseconds. A load takes minutes, and no
thread should wait for all of it."""

LOOK = 0.1
"""Seconds between two polls for writes of other processes; a poll takes microseconds."""


class SqliteLog(SqlLog):
    """Log of edits in the file of a database.

    Parameters
    ----------
    path : str
        The file of a database. It is not memory-mapped, so that a truncated file is an error
        instead of a crash.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self._file = SqliteFile(path, PATIENCE)
        self._watching: sqlite3.Connection | None = None
        self._seen: int | None = None
        self._closing = threading.Event()

    @override
    def _transaction(self) -> AbstractContextManager[None]:
        return self._file.transaction()

    @override
    def _ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._file.connected() as connection:
            # An edit in a deleted file would be invisible to other processes.
            self._file.check()
            return connection.execute(query, _numbered(values)).fetchall()

    @override
    def _change(self, query: str, *values: Any) -> None:
        with self._file.connected() as connection:
            connection.execute(query, _numbered(values))

    @override
    def _exists(self, table: str) -> bool:
        return bool(self._ask("select 1 from sqlite_schema where name = $1", table))

    @override
    def wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        try:
            with self._file.errors():
                while self._version() == self._seen and time.monotonic() < until:
                    if self._closing.wait(LOOK):
                        return
                self._seen = self._version()
        finally:
            if self._closing.is_set() and self._watching:
                self._watching.close()
                self._watching = None

    def _version(self) -> int:
        """Return a number that changes after a commit of another connection."""
        if self._watching is None:
            self._watching = self._file.new()
        self._file.check()
        version: int = self._watching.execute("PRAGMA data_version").fetchone()[0]
        return version

    @override
    def close(self) -> None:
        self._closing.set()


def _numbered(values: tuple[Any, ...]) -> dict[str, Any]:
    return {str(number): value for number, value in enumerate(values, 1)}
