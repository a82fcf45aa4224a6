"""The log of edits in SQLite."""

from __future__ import annotations

import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from bfly.edits.sql_log import SqlLog
from bfly.errors import DatabaseError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from bfly.databases.sqlite import Sqlite

__all__ = ["SqliteLog"]

LOOK = 0.1
"""Seconds between two looks whether another process has written; one takes microseconds."""


class SqliteLog(SqlLog):
    """The log in the file of a database.

    Parameters
    ----------
    database : Sqlite
        The database.
    """

    def __init__(self, database: Sqlite) -> None:
        super().__init__()
        self._database = database
        self._watching: sqlite3.Connection | None = None
        self._seen: int | None = None
        self._closing = threading.Event()

    @override
    def _transaction(self) -> AbstractContextManager[None]:
        return self._database._transaction()

    @override
    def _ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._database._connected() as connection:
            return connection.execute(query, _numbered(values)).fetchall()

    @override
    def _change(self, query: str, *values: Any) -> None:
        with self._database._connected() as connection:
            connection.execute(query, _numbered(values))

    @override
    def _exists(self) -> bool:
        return bool(self._ask("select 1 from sqlite_schema where name = 'edit_snapshots'"))

    @override
    def wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        try:
            while self._version() == self._seen and time.monotonic() < until:
                if self._closing.wait(LOOK):
                    return
            self._seen = self._version()
        except sqlite3.Error as error:
            raise DatabaseError(f"{self._database.path}: {error}") from error
        finally:
            if self._closing.is_set() and self._watching:
                self._watching.close()
                self._watching = None

    def _version(self) -> int:
        """Give a number that another one's commit changes, as the connection that asks sees it."""
        if self._watching is None:
            self._watching = sqlite3.connect(self._database.path, check_same_thread=False)
        version: int = self._watching.execute("PRAGMA data_version").fetchone()[0]
        return version

    @override
    def close(self) -> None:
        self._closing.set()


def _numbered(values: tuple[Any, ...]) -> dict[str, Any]:
    return {str(number): value for number, value in enumerate(values, 1)}
