"""PostgreSQL server: its address, connections and errors."""

from __future__ import annotations

import re
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import LockNotAvailable, QueryCanceled
from typing_extensions import override

from bfly.databases.postgres_connections import WAIT, ConnectionPool, Limits
from bfly.databases.postgres_pulse import Pulse
from bfly.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from psycopg import Connection, Cursor

    Row = tuple[Any, ...]

__all__ = ["EDITS", "TABLES", "PostgresServer", "Use"]

ALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
"""TCP keepalive, which detects a lost peer: seconds, seconds, number of probes."""

UNSENT = {"tcp_user_timeout": 1000 * WAIT}
"""Milliseconds after which unacknowledged data breaks a connection; Linux only."""

LOCK = b"select pg_advisory_xact_lock($1)"

SHOWN = "host", "hostaddr", "port", "user", "dbname", "service"
"""Parts of an address that messages may show."""

URL = re.compile(r"postgres(ql)?://([^@/?]*@)?[^@]*")
"""Address without a stray ``@``, which would put a piece of the password into another part."""


@dataclass(frozen=True)
class Use:
    """Purpose of connections.

    Parameters
    ----------
    asking, writing : int
        Maximum number of connections for queries, and for changes.
    questions, changes : Limits
        Time limits of these connections.
    lock : str
        Name of the lock that serialises the writers of all processes.
    """

    asking: int
    writing: int
    questions: Limits
    changes: Limits
    lock: bytes


TABLES = Use(16, 4, Limits(20, 20, 20), Limits(0, 600, 0), b"bfly")
"""Connections for tables. A query is by key, so more than 20 s means a server in trouble. A load
computes for minutes, and the next load waits for it."""

EDITS = Use(4, 2, Limits(60, 20, 20), Limits(30, 20, 300), b"edit")
"""Connections for edits, so that table readers and loads never block an edit. An edit takes
milliseconds; a client that waits longer than 20 s gets an error. A page of the log may be 100 MB of
imported rows. Importing a large table computes for minutes between two statements."""


class PostgresServer:
    """Connections to one database on a PostgreSQL server, for any number of threads.

    All methods raise `DatabaseError` when the server refuses or cannot be reached. They work
    again after a restart of the server.

    Parameters
    ----------
    address : str
        A URL, pairs, or a folder; see `bfly.databases.postgres.Postgres`.
    port : int or None
        Overrides the port in `address`.
    use : Use
        Purpose of the connections. They never wait for connections of another use.
    """

    def __init__(self, address: str, port: int | None, use: Use = TABLES) -> None:
        given = _parsed(address, port)
        shown = make_conninfo("", **{key: given[key] for key in SHOWN if key in given})
        self._name = f"PostgreSQL ({shown})"
        self._use = use
        self._own = threading.local()
        self._writing = threading.Lock()
        where = make_conninfo("", **given)
        pulse = Pulse(where)
        self._questions = ConnectionPool(where, use.asking, use.questions, pulse)
        self._changes = ConnectionPool(where, use.writing, use.changes, pulse)

    def connect(self) -> Connection[Row]:
        """Return a new connection in autocommit mode, owned by the caller."""
        return self._questions.new()

    @override
    def __str__(self) -> str:
        """Name the server, without secrets."""
        return self._name

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn errors of psycopg into `DatabaseError`."""
        try:
            yield
        except psycopg.Error as error:
            raise self._explained(error) from error

    def _explained(self, error: psycopg.Error) -> DatabaseError:
        reason = error.diag.message_primary or " ".join(str(error).split())
        if isinstance(error, QueryCanceled):
            reason += f" after {self._use.questions.statement} s"
        return DatabaseError(f"{self}: {reason}")

    def ask(self, query: str, *values: Any) -> list[Row]:
        """Run a query and return its rows; retry once if the connection is broken."""
        # The context manager `errors` would take longer than the rest of this method.
        try:
            if own := self._transacting():
                return _rows(own, query, values)
            with self._questions.connection() as connection:
                try:
                    return _rows(connection, query, values)
                except psycopg.OperationalError:
                    if not connection.broken:
                        raise
            with self._questions.connection(check=True) as connection:
                return _rows(connection, query, values)
        except psycopg.Error as error:
            raise self._explained(error) from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run everything that this thread does here as one transaction; one writer at a time."""
        if not self._writing.acquire(timeout=self._use.changes.lock):
            raise self._late()
        try:
            with (
                self.errors(),
                self._changes.connection(check=True) as connection,
                connection.transaction(),
            ):
                try:
                    connection.execute(LOCK, (int.from_bytes(self._use.lock, "big"),))
                except LockNotAvailable as error:
                    raise self._late() from error
                self._own.connection = connection
                try:
                    yield
                finally:
                    self._own.connection = None
        finally:
            self._writing.release()

    def _late(self) -> DatabaseError:
        return DatabaseError(
            f"{self}: another writer has not been done for {self._use.changes.lock} s; nothing "
            "was written."
        )

    @contextmanager
    def writing(self) -> Iterator[Cursor[Row]]:
        """Yield a cursor for changes. Requires a transaction."""
        connection = self._transacting()
        assert connection, "a change belongs to a transaction"
        with self.errors(), connection.cursor() as cursor:
            yield cursor

    def change(self, query: str, *values: Any) -> None:
        """Run a statement that changes data. Requires a transaction."""
        with self.writing() as cursor:
            cursor.execute(query.encode(), values)

    def change_at_once(self, query: str) -> None:
        """Run a statement in its own transaction; fail at once if another session blocks it."""
        with (
            self.errors(),
            self._changes.connection(check=True) as connection,
            connection.transaction(),
        ):
            connection.execute("set local lock_timeout = 1")
            connection.execute(query.encode())

    def _transacting(self) -> Connection[Row] | None:
        return getattr(self._own, "connection", None)


def _parsed(address: str, port: int | None) -> dict[str, Any]:
    """Return an address as libpq parameters. Errors never quote it, as it may hold secrets."""
    more = {"port": port} if port is not None else {}
    try:
        if "://" in address and not URL.fullmatch(address):
            raise psycopg.ProgrammingError
        given = {"host": address} if address.startswith("/") else conninfo_to_dict(address)
    except psycopg.ProgrammingError:
        raise DatabaseError(
            "The path of the database is not a valid PostgreSQL address; allowed are "
            "postgresql://user:password@host:port/name, with @ / ? % in a name or "
            "password escaped as %40 %2F %3F %25; pairs like host=db user=me dbname=name; and "
            "the folder with the server's socket."
        ) from None
    waits = {"connect_timeout": WAIT, **ALIVE, **(UNSENT if sys.platform == "linux" else {})}
    return {**waits, "fallback_application_name": "bfly", **given, **more}


def _rows(connection: Connection[Row], query: str, values: Sequence[Any]) -> list[Row]:
    return connection.execute(query.encode(), values, binary=True).fetchall()
