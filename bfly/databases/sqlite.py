"""SQLite: the default database, one durable file without a server."""

from __future__ import annotations

import logging
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from bfly.databases.packed.database import EVERYTHING, KINDS, PackedDatabase, pages, table_name
from bfly.databases.sqlite_annotations import SqliteAnnotations
from bfly.databases.sqlite_edits import SqliteLog
from bfly.databases.sqlite_file import SqliteFile
from bfly.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager

    from bfly.annotations.store import AnnotationStore
    from bfly.databases.packed.database import Pack
    from bfly.databases.store import Progress
    from bfly.edits.log import EditLog
    from bfly.keywords import RUNTIME
    from bfly.tables.columns import Columns

__all__ = ["Sqlite"]

log = logging.getLogger(__name__)

APPLICATION = int.from_bytes(b"bfly", "big")
"""Application id of Butterfly in the header of a SQLite file."""

OWNER = "SELECT application_id, EXISTS (SELECT * FROM sqlite_schema) FROM pragma_application_id"

RANGE = (
    "SELECT key, pack FROM {table} WHERE key >= "
    "coalesce((SELECT max(key) FROM {table} WHERE key <= ?1), ?1) AND key <= ?2 ORDER BY key"
)

RANGES = """
WITH RECURSIVE place (number) AS
    (SELECT 0 UNION ALL SELECT number + 1 FROM place WHERE number + 1 < ?3),
ends (low, high) AS (
    SELECT substr(?1, number * ?4 + 1, ?4), substr(?2, number * ?5 + 1, ?5) FROM place
)
SELECT key, {what} FROM {table} WHERE key IN (
    SELECT pack.key FROM ends CROSS JOIN {table} pack WHERE pack.key <= high AND pack.key >=
        coalesce((SELECT max(key) FROM {table} WHERE key <= low), low)
)
"""
"""Packs of any number of ranges, each once: all their lowest keys, and all their highest ones, are
one value each. A statement for each range takes several times as long."""

PAGE = 8192
"""Bytes of a page, so that a pack of a few kilobytes fills few pages."""

MAPPED = 1 << 40
"""Bytes of the file that are memory-mapped; SQLite limits them to 2 GiB. A write by another
process evicts the pages of SQLite's own cache, not the mapped ones. Only ``VACUUM``, which is
never run, would truncate the file below them."""

PATIENCE = 600
"""Seconds to wait for another writer. Loading a large dataset takes minutes."""

PAGE_OF_PACKS = 64
"""Packs per query of a scan; at least two."""


class Sqlite(PackedDatabase):
    """Database in one SQLite file, which several processes may share.

    Parameters
    ----------
    path : str
        The file; it and its folder are created if missing.
    _runtime : RUNTIME
        As for `Database`.

    Raises
    ------
    DatabaseError
        The file is not SQLite, not of Butterfly, of another version, or cannot be created.
    """

    def __init__(self, path: str, _runtime: RUNTIME) -> None:
        super().__init__(path, _runtime)
        self._file = SqliteFile(path, PATIENCE, MAPPED)
        self._file.create()
        with self._file.connected() as connection:
            owner, used = connection.execute(OWNER).fetchone()
            if used and owner != APPLICATION:
                raise DatabaseError(f"{path} is a SQLite database of another program.")
            if not used:
                _prepare(connection)
                self._file.remember()
        self._check_version()

    def close(self) -> None:
        """Close the file; a later call opens it again."""
        self._file.close()

    @override
    def edit_log(self) -> EditLog:
        return SqliteLog(self.path)

    @override
    def annotation_store(self) -> AnnotationStore:
        return SqliteAnnotations(self.path)

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
        with self._file.connected() as connection:
            # The log is as large as the tables now. It stays so if another process is reading
            # or the disk is full. The rows are durable in either case.
            connection.execute("PRAGMA busy_timeout = 1000")
            try:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except sqlite3.OperationalError as error:
                log.warning("%s-wal could not be truncated after a load: %s", self.path, error)
            finally:
                connection.execute(f"PRAGMA busy_timeout = {1000 * PATIENCE}")
        self._file.check()

    @override
    def _transaction(self) -> AbstractContextManager[None]:
        return self._file.transaction()

    @override
    def _get(self, name: str) -> str | None:
        with self._file.connected() as connection:
            row = connection.execute("SELECT value FROM words WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    @override
    def _set(self, name: str, value: str) -> None:
        with self._file.connected() as connection:
            connection.execute("INSERT OR REPLACE INTO words VALUES (?, ?)", (name, value))

    @override
    def _create(self, number: int) -> None:
        with self._file.connected() as connection:
            for kind in KINDS:
                connection.execute(
                    f"CREATE TABLE {table_name(number, kind)} (key BLOB PRIMARY KEY, pack BLOB)"
                )

    @override
    def _drop(self, number: int) -> None:
        with self._file.connected() as connection:
            for kind in KINDS:
                connection.execute(f"DROP TABLE {table_name(number, kind)}")

    @override
    def _read(self, number: int, kind: str, ranges: list[tuple[bytes, bytes]]) -> list[Pack]:
        if not ranges:
            return []
        table = table_name(number, kind)
        # The context manager would take a tenth of the time of a lookup.
        file = self._file
        try:
            connection = file.take()
            try:
                if len(ranges) == 1:
                    return _packs(connection, table, *ranges[0])
                query = RANGES.format(table=table, what="pack")
                return connection.execute(query, _ends(ranges)).fetchall()
            finally:
                file.give(connection)
        except sqlite3.Error as error:
            raise file.explained(error) from error

    @override
    def _lengths(
        self, number: int, kind: str, ranges: list[tuple[bytes, bytes]]
    ) -> list[tuple[bytes, int]]:
        if not ranges:
            return []
        query = RANGES.format(table=table_name(number, kind), what="length(pack)")
        with self._file.connected() as connection:
            return connection.execute(query, _ends(ranges)).fetchall()

    @override
    def _scan(
        self, number: int, kind: str, ranges: list[tuple[bytes, bytes]] = EVERYTHING
    ) -> Iterator[Pack]:
        query = RANGE.format(table=table_name(number, kind)) + " LIMIT ?3"

        def page(low: bytes, high: bytes, most: int) -> list[Pack]:
            with self._file.connected() as connection:
                return connection.execute(query, (low, high, most)).fetchall()

        return pages(page, ranges, PAGE_OF_PACKS)

    @override
    def _write(self, number: int, kind: str, packs: Iterable[Pack]) -> None:
        with self._file.connected() as connection:
            connection.executemany(
                f"INSERT OR REPLACE INTO {table_name(number, kind)} VALUES (?, ?)", packs
            )

    @override
    def _remove(self, number: int, kind: str, keys: Iterable[bytes]) -> None:
        with self._file.connected() as connection:
            connection.executemany(
                f"DELETE FROM {table_name(number, kind)} WHERE key = ?", ((key,) for key in keys)
            )

    @property
    @override
    def _folder(self) -> str:
        return str(Path(self.path).parent)


def _prepare(connection: sqlite3.Connection) -> None:
    """Set up an empty file as a database. Another process may do so at the same time."""
    connection.execute(f"PRAGMA page_size = {PAGE}")
    for left in reversed(range(100)):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError:
            # If two processes switch at once, SQLite refuses one instead of letting it wait.
            if not left:
                raise
            time.sleep(0.05)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute("CREATE TABLE IF NOT EXISTS words (name TEXT PRIMARY KEY, value TEXT)")
    connection.execute("COMMIT")


def _ends(ranges: list[tuple[bytes, bytes]]) -> tuple[bytes, bytes, int, int, int]:
    """Return the parameters of `RANGES`; all keys of a kind have the same length."""
    lows, highs = zip(*ranges, strict=True)
    return b"".join(lows), b"".join(highs), len(ranges), len(lows[0]), len(highs[0])


def _packs(connection: sqlite3.Connection, table: str, low: bytes, high: bytes) -> list[Any]:
    if low == high:
        query = f"SELECT key, pack FROM {table} WHERE key <= ? ORDER BY key DESC LIMIT 1"
        return connection.execute(query, (low,)).fetchall()
    return connection.execute(RANGE.format(table=table), (low, high)).fetchall()
