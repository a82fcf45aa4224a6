"""SQLite file: its connections, and the lock for one writing thread."""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections import deque
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bfly.databases.packed.blobs import Gone
from bfly.databases.sqlite_state import FileState, identity
from bfly.errors import Busy, DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SqliteFile"]

CACHE = 16 << 20
"""Bytes of the page cache of a connection; the system caches the file too."""

LOG = 64 << 20
"""Bytes to which the write-ahead log is truncated after a checkpoint. A load makes it as large
as the tables."""

READ = "SELECT count(*) FROM sqlite_schema"
"""Query that makes a connection open the write-ahead log."""


class SqliteFile:
    """Connections to one SQLite file, for any number of threads.

    Parameters
    ----------
    path : str
        The file, which must exist; see `create`.
    patience : int
        Seconds to wait for another writer.
    mapped : int
        Bytes of the file that are memory-mapped. 0 reads with system calls, which are slower
        but raise an error for a missing page, where a mapping kills the process.
    """

    def __init__(self, path: str, patience: int, mapped: int = 0) -> None:
        self.path = path
        self._place = os.path.abspath(path)
        self._patience, self._mapped = patience, mapped
        self._idle: deque[sqlite3.Connection] = deque()
        self._state = FileState(path, self._place)
        self._opening = threading.Lock()
        self._writing = threading.Lock()
        self._mine = threading.local()
        weakref.finalize(self, _close, self._idle)

    def create(self) -> None:
        """Create an empty file and its folder, unless they exist.

        Raises
        ------
        DatabaseError
            The folder cannot be created.
        """
        try:
            Path(self.path).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatabaseError(f"The folder of {self.path} cannot be made: {error}") from error
        try:
            # An existing file must not be opened: closing it would release the locks on it.
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL, 0o644))
        except OSError:
            return  # The file exists, or SQLite will report why it cannot be opened.

    def close(self) -> None:
        """Close the file; a later call opens it again."""
        with self._opening:
            _close(self._idle)
            self._state.forget()

    def check(self) -> None:
        """Check that the file is the one that was opened.

        Raises
        ------
        DatabaseError
            The file or its log was deleted, replaced or truncated.
        """
        self._state.check()

    def new(self) -> sqlite3.Connection:
        """Return a new connection in autocommit mode to the file that was opened first.

        Raises
        ------
        DatabaseError
            The path is another file now.
        sqlite3.Error
            The file cannot be opened.
        """
        before = identity(self._place)
        connection = sqlite3.connect(
            f"{Path(self._place).as_uri()}?mode=rw",
            uri=True,
            timeout=self._patience,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA cache_size = {-CACHE // 1024}")
            connection.execute(f"PRAGMA mmap_size = {self._mapped}")
            connection.execute(f"PRAGMA journal_size_limit = {LOG}")
            connection.execute(READ).fetchone()
            with self._opening:
                self._state.opened(before)
        except BaseException:
            connection.close()
            raise
        return connection

    def remember(self) -> None:
        """Record the current file as the opened one; its log exists from now on."""
        self._state.forget()
        self._state.opened(identity(self._place))

    def take(self) -> sqlite3.Connection:
        """Return the connection of this thread's transaction, an idle one, or a new one."""
        mine: sqlite3.Connection | None = getattr(self._mine, "connection", None)
        if mine:
            return mine
        try:
            return self._idle.pop()
        except IndexError:
            return self.new()

    def give(self, connection: sqlite3.Connection) -> None:
        """Return a connection to the pool, for the next thread that needs one."""
        if connection is not getattr(self._mine, "connection", None):
            self._idle.append(connection)

    @contextmanager
    def connected(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection; errors of SQLite become those of `explained`."""
        with self.errors():
            connection = self.take()
            try:
                yield connection
            finally:
                self.give(connection)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn errors of SQLite into those of `explained`."""
        try:
            yield
        except sqlite3.Error as error:
            raise self.explained(error) from error

    def explained(self, error: sqlite3.Error) -> Exception:
        """Return a `Gone`, `Busy` or `DatabaseError` for an error of SQLite."""
        if str(error).startswith("no such table"):
            return Gone(str(error))
        if str(error).startswith("unable to open") and (reason := _no_file_free()):
            return Busy(f"{self.path} cannot be opened now: {reason}.")
        return DatabaseError(f"{self.path}: {error}")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run everything that this thread does here as one transaction; one writer at a time.

        Raises
        ------
        DatabaseError
            Another writer takes too long, or the file is not the one that was opened. In both
            cases no change is kept.
        """
        if not self._writing.acquire(timeout=self._patience):
            raise self._late()
        try:
            with self.connected() as connection:
                self.check()
                try:
                    connection.execute("BEGIN IMMEDIATE")
                except sqlite3.OperationalError as error:
                    raise (self._late() if "locked" in str(error) else error) from error
                self._mine.connection = connection
                try:
                    yield
                    self.check()
                    connection.execute("COMMIT")
                finally:
                    self._mine.connection = None
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                # Only after this check may a caller learn that the change is durable.
                self.check()
        finally:
            self._writing.release()

    def _late(self) -> DatabaseError:
        return DatabaseError(
            f"{self.path}: another writer has not been done for {self._patience} s; nothing was "
            "written."
        )


def _no_file_free() -> str | None:
    """Return why this process can open no file at all, which SQLite does not report."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.strerror
    return None


def _close(connections: deque[sqlite3.Connection]) -> None:
    while connections:
        connections.pop().close()
