"""A PostgreSQL server: its address, connections to it, and what can go wrong there."""

from __future__ import annotations

import re
import threading
import weakref
from collections import deque
from contextlib import contextmanager, nullcontext, suppress
from itertools import count
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from typing_extensions import override

from bfly.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from psycopg import Connection, Cursor

    Row = tuple[Any, ...]

__all__ = ["Pool", "Server"]

WAIT = 10
"""Seconds until a server counts as not reachable."""

QUESTIONS, SESSIONS = 16, 16
"""The most connections for questions, and for what may take long."""

AT_ONCE = 64
"""Rows that come in one message when all are asked for."""

LOCK = f"select pg_advisory_xact_lock({int.from_bytes(b'bfly', 'big')})".encode()
"""Held by the one who writes, of all that are connected to the same database."""

SETTINGS = b"""
set idle_in_transaction_session_timeout = 0;
set jit = off; set enable_seqscan = off; set enable_bitmapscan = off;
set plan_cache_mode = force_generic_plan
"""
"""A load may compute for long. All questions are for keys: the best plan is known."""

SHOWN = "host", "hostaddr", "port", "user", "dbname", "service"
"""What messages have of an address."""

URL = re.compile(r"postgres(ql)?://([^@/?]*@)?[^@]*")
"""An address whose password ends where it should, so that no other part has a piece of it."""


class Pool:
    """Connections that wait to be used again.

    Unlike psycopg's own pool it connects in the thread that asks, so that this one is told at
    once why it cannot, and the first call after any outage works.

    Parameters
    ----------
    address : str
        What libpq understands.
    most : int
        How many connections there may be.
    """

    def __init__(self, address: str, most: int) -> None:
        self._address, self._most = address, most
        self._idle: deque[Connection[Row]] = deque()
        self._room = threading.BoundedSemaphore(most)
        weakref.finalize(self, _close, self._idle)

    @contextmanager
    def connection(self, check: bool = False) -> Iterator[Connection[Row]]:
        """Lend a connection in autocommit mode; one that was checked is not broken."""
        if not self._room.acquire(timeout=WAIT):
            raise psycopg.OperationalError(f"{self._most} connections are busy for {WAIT} s")
        try:
            connection = self._waiting(check) or self.new()
            try:
                yield connection
            finally:
                if connection.info.transaction_status == TransactionStatus.IDLE:
                    self._idle.append(connection)
                else:
                    connection.close()
        finally:
            self._room.release()

    def _waiting(self, check: bool) -> Connection[Row] | None:
        with suppress(IndexError):
            while True:
                connection = self._idle.pop()
                try:
                    if check:
                        connection.execute("")
                except psycopg.OperationalError:
                    connection.close()
                else:
                    return connection
        return None

    def new(self) -> Connection[Row]:
        """Give a connection in autocommit mode that nobody else gets."""
        connection = psycopg.connect(
            self._address, autocommit=True, cursor_factory=psycopg.RawCursor
        )
        connection.server_cursor_factory = psycopg.RawServerCursor
        connection.execute(SETTINGS)
        return connection


class Server:
    """Connections to one database on a PostgreSQL server, for any number of threads.

    All methods raise `DatabaseError` when the server cannot be reached, or refuses; after a
    restart of the server they work again.

    Parameters
    ----------
    address : str
        A URL, pairs, or a folder; see `bfly.databases.postgres.Postgres`.
    port : int or None
        Instead of the one in `address`.
    """

    def __init__(self, address: str, port: int | None) -> None:
        given = _parsed(address, port)
        shown = make_conninfo("", **{key: given[key] for key in SHOWN if key in given})
        self._name = f"PostgreSQL ({shown})"
        self._own = threading.local()
        self._writing = threading.Lock()
        self._cursors = map("cursor_{}".format, count())
        where = make_conninfo("", **given)
        self._questions, self._sessions = Pool(where, QUESTIONS), Pool(where, SESSIONS)

    def connect(self) -> Connection[Row]:
        """Give a connection to keep, in autocommit mode."""
        return self._sessions.new()

    @override
    def __str__(self) -> str:
        """Name the server without what is secret."""
        return self._name

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Give errors of psycopg as `DatabaseError`."""
        try:
            yield
        except psycopg.Error as error:
            reason = error.diag.message_primary or " ".join(str(error).split())
            raise DatabaseError(f"{self}: {reason}") from error

    def ask(self, query: str, *values: Any) -> list[Row]:
        """Ask a question; a second time if the connection turns out to be broken."""
        with self.errors():
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

    def go_through(self, query: str, each: Iterable[tuple[Any, ...]]) -> Iterator[Row]:
        """Give the rows of a question asked with some values after others, one by one."""
        own = self._transacting()
        with (
            self.errors(),
            nullcontext(own) if own else self._sessions.connection(check=True) as connection,
            nullcontext() if own else connection.transaction(),
        ):
            for values in each:
                with connection.cursor(next(self._cursors)) as cursor:
                    cursor.itersize = AT_ONCE
                    yield from cursor.execute(query.encode(), values, binary=True)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make one transaction of all that this thread asks and does; one writes at a time."""
        with (
            self._writing,
            self.errors(),
            self._sessions.connection(check=True) as connection,
            connection.transaction(),
        ):
            connection.execute(LOCK)
            self._own.connection = connection
            try:
                yield
            finally:
                self._own.connection = None

    @contextmanager
    def writing(self) -> Iterator[Cursor[Row]]:
        """Give a cursor for changes; in a transaction."""
        connection = self._transacting()
        assert connection, "a change belongs to a transaction"
        with self.errors(), connection.cursor() as cursor:
            yield cursor

    def change(self, query: str, *values: Any) -> None:
        """Change something; in a transaction."""
        with self.writing() as cursor:
            cursor.execute(query.encode(), values)

    def change_at_once(self, query: str) -> None:
        """Change something in a transaction of its own, unless somebody is in the way."""
        with (
            self.errors(),
            self._sessions.connection(check=True) as connection,
            connection.transaction(),
        ):
            connection.execute("set local lock_timeout = 1")
            connection.execute(query.encode())

    def _transacting(self) -> Connection[Row] | None:
        return getattr(self._own, "connection", None)


def _parsed(address: str, port: int | None) -> dict[str, Any]:
    """Give an address as libpq's parameters; a message has nothing of it, it may be secret."""
    more = {"port": port} if port is not None else {}
    try:
        if "://" in address and not URL.fullmatch(address):
            raise psycopg.ProgrammingError
        given = {"host": address} if address.startswith("/") else conninfo_to_dict(address)
    except psycopg.ProgrammingError:
        raise DatabaseError(
            "The path of the database is not an address that PostgreSQL understands; allowed are "
            "postgresql://user:password@host:port/name, where signs like @ / ? % in a name or "
            "password are written %40 %2F %3F %25; pairs like host=db user=me dbname=name; and "
            "the folder with the server's socket."
        ) from None
    return {"connect_timeout": WAIT, "fallback_application_name": "bfly", **given, **more}


def _close(connections: deque[Connection[Row]]) -> None:
    while connections:
        connections.pop().close()


def _rows(connection: Connection[Row], query: str, values: Sequence[Any]) -> list[Row]:
    return connection.execute(query.encode(), values, binary=True).fetchall()
