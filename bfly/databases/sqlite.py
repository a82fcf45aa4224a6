"""SQLite: the durable default, one file that needs no server."""

from __future__ import annotations

import sqlite3
import threading
import time
import weakref
from collections import deque
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from bfly.databases.packed import EVERYTHING, KINDS, Gone, PackedDatabase, table_name
from bfly.databases.sqlite_edits import SqliteLog
from bfly.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bfly.databases.columns import Columns
    from bfly.databases.packed import Pack
    from bfly.databases.store import Progress
    from bfly.edits.log import EditLog
    from bfly.keywords import RUNTIME

__all__ = ["Sqlite"]

APPLICATION = int.from_bytes(b"bfly", "big")
"""By which SQLite's header says whose file it is."""

OWNER = "SELECT application_id, EXISTS (SELECT * FROM sqlite_schema) FROM pragma_application_id"

RANGE = (
    "SELECT key, pack FROM {table} WHERE key >= "
    "coalesce((SELECT max(key) FROM {table} WHERE key <= ?1), ?1) AND key <= ?2 ORDER BY key"
)

PAGE = 8192
"""Bytes of a page: a pack of some kilobytes fills few of them."""

CACHE = 16 << 20
"""Bytes of pages that a connection keeps, besides what the system caches."""

MAPPED = 1 << 40
"""Bytes of the file that are read as memory instead of copied, or as many as SQLite allows (2 GiB).
What another process writes makes it forget the pages of its own cache, not these. Only
``VACUUM``, which is never run, would cut the file off below them."""

LOG = 64 << 20
"""Bytes of the write-ahead log that are kept once all in it is in the file; a load makes it
as large as the tables."""

PATIENCE = 600
"""Seconds to wait for another writer; one that loads a large dataset takes minutes."""

PAGE_OF_PACKS = 64
"""How many packs are fetched at once when many are wanted; two at least."""


class Sqlite(PackedDatabase):
    """A database in one SQLite file, which several processes may share.

    Parameters
    ----------
    path : str
        The file; it and its folder are made when they are not there.
    _runtime : RUNTIME
        As for `Database`.

    Raises
    ------
    DatabaseError
        The file is not SQLite's, not Butterfly's or of another version, or cannot be made.
    """

    def __init__(self, path: str, _runtime: RUNTIME) -> None:
        super().__init__(path, _runtime)
        self._idle: deque[sqlite3.Connection] = deque()
        weakref.finalize(self, _close, self._idle)
        self._writing = threading.Lock()
        self._mine = threading.local()
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatabaseError(f"The folder of {path} cannot be made: {error}") from error
        with self._connected() as connection:
            owner, used = connection.execute(OWNER).fetchone()
            if used and owner != APPLICATION:
                raise DatabaseError(f"{path} is a SQLite database of another program.")
            if not used:
                _prepare(connection)
        self._check_version()

    def close(self) -> None:
        """Close the file; a later call opens it again."""
        _close(self._idle)

    @override
    def edit_log(self) -> EditLog:
        return SqliteLog(self)

    @override
    def replace(
        self,
        path: str,
        fingerprint: str,
        neurons: Iterable[Columns],
        synapses: Iterable[Columns],
        progress: Progress | None = None,
    ) -> None:
        super().replace(path, fingerprint, neurons, synapses, progress)
        with self._connected() as connection:
            # The log is as large as the tables now; whoever reads just then may leave it so.
            connection.execute("PRAGMA busy_timeout = 1000")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.execute(f"PRAGMA busy_timeout = {1000 * PATIENCE}")

    def _take(self) -> sqlite3.Connection:
        """Give the connection of this thread's transaction, an idle one or a new one."""
        mine: sqlite3.Connection | None = getattr(self._mine, "connection", None)
        if mine:
            return mine
        try:
            return self._idle.pop()
        except IndexError:
            pass
        connection = sqlite3.connect(
            self.path, timeout=PATIENCE, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA cache_size = {-CACHE // 1024}")
            connection.execute(f"PRAGMA mmap_size = {MAPPED}")
            connection.execute(f"PRAGMA journal_size_limit = {LOG}")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _give(self, connection: sqlite3.Connection) -> None:
        """Take a connection back, for whoever needs one next."""
        if connection is not getattr(self._mine, "connection", None):
            self._idle.append(connection)

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._take()
            try:
                yield connection
            finally:
                self._give(connection)
        except sqlite3.Error as error:
            raise self._explained(error) from error

    def _explained(self, error: sqlite3.Error) -> Exception:
        if str(error).startswith("no such table"):
            return Gone(str(error))
        return DatabaseError(f"{self.path}: {error}")

    @contextmanager
    @override
    def _transaction(self) -> Iterator[None]:
        with self._writing, self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            self._mine.connection = connection
            try:
                yield
                connection.execute("COMMIT")
            finally:
                self._mine.connection = None
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    @override
    def _get(self, name: str) -> str | None:
        with self._connected() as connection:
            row = connection.execute("SELECT value FROM words WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    @override
    def _set(self, name: str, value: str) -> None:
        with self._connected() as connection:
            connection.execute("INSERT OR REPLACE INTO words VALUES (?, ?)", (name, value))

    @override
    def _create(self, number: int) -> None:
        with self._connected() as connection:
            for kind in KINDS:
                connection.execute(
                    f"CREATE TABLE {table_name(number, kind)} (key BLOB PRIMARY KEY, pack BLOB)"
                )

    @override
    def _drop(self, number: int) -> None:
        with self._connected() as connection:
            for kind in KINDS:
                connection.execute(f"DROP TABLE {table_name(number, kind)}")

    @override
    def _read(self, number: int, kind: str, ranges: list[tuple[bytes, bytes]]) -> list[Pack]:
        table = table_name(number, kind)
        # The context manager would take a tenth of the time of a look-up.
        connection = self._take()
        try:
            if len(ranges) == 1:
                return _packs(connection, table, *ranges[0])
            ours = not connection.in_transaction
            if ours:
                connection.execute("BEGIN")
            try:
                found = [_packs(connection, table, low, high) for low, high in ranges]
                return list(chain.from_iterable(found))
            finally:
                if ours:
                    connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._explained(error) from error
        finally:
            self._give(connection)

    @override
    def _scan(
        self, number: int, kind: str, ranges: list[tuple[bytes, bytes]] = EVERYTHING
    ) -> Iterator[Pack]:
        query = RANGE.format(table=table_name(number, kind)) + " LIMIT ?3"
        last = b""
        for low, high in ranges:
            while True:
                ends = max(low, last), high
                with self._connected() as connection:
                    packs = connection.execute(query, (*ends, PAGE_OF_PACKS)).fetchall()
                # The first may be the last of those before.
                new = [pack for pack in packs if pack[0] > last]
                yield from new
                if new:
                    last = new[-1][0]
                if len(packs) < PAGE_OF_PACKS:
                    break

    @override
    def _write(self, number: int, kind: str, packs: Iterable[Pack]) -> None:
        with self._connected() as connection:
            connection.executemany(
                f"INSERT OR REPLACE INTO {table_name(number, kind)} VALUES (?, ?)", packs
            )

    @override
    def _remove(self, number: int, kind: str, keys: Iterable[bytes]) -> None:
        with self._connected() as connection:
            connection.executemany(
                f"DELETE FROM {table_name(number, kind)} WHERE key = ?", ((key,) for key in keys)
            )

    @property
    @override
    def _folder(self) -> str:
        return str(Path(self.path).parent)


def _prepare(connection: sqlite3.Connection) -> None:
    """Make an empty file ours; another process may do the same."""
    connection.execute(f"PRAGMA page_size = {PAGE}")
    for left in reversed(range(100)):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError:
            # Of two that switch at once SQLite refuses one, and does not let it wait.
            if not left:
                raise
            time.sleep(0.05)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute("CREATE TABLE IF NOT EXISTS words (name TEXT PRIMARY KEY, value TEXT)")
    connection.execute("COMMIT")


def _close(connections: deque[sqlite3.Connection]) -> None:
    while connections:
        connections.pop().close()


def _packs(connection: sqlite3.Connection, table: str, low: bytes, high: bytes) -> list[Any]:
    if low == high:
        query = f"SELECT key, pack FROM {table} WHERE key <= ? ORDER BY key DESC LIMIT 1"
        return connection.execute(query, (low,)).fetchall()
    return connection.execute(RANGE.format(table=table), (low, high)).fetchall()
