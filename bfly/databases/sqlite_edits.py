"""Log of edits in SQLite."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from typing_extensions import override

from bfly.databases.sqlite_statements import SqliteStatements
from bfly.edits.sql_log import SqlLog

if TYPE_CHECKING:
    import sqlite3

__all__ = ["SqliteLog"]

LOOK = 0.1
"""Seconds between two polls for writes of other processes; a poll takes microseconds."""


class SqliteLog(SqliteStatements, SqlLog):
    """Log of edits in the file of a database.

    Parameters
    ----------
    path : str
        The file of a database.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._watching: sqlite3.Connection | None = None
        self._seen: int | None = None
        self._closing = threading.Event()

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
