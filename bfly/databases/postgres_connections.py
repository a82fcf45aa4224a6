"""Connections to a PostgreSQL server, each with a bounded wait for an answer."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg.pq import TransactionStatus
from typing_extensions import override

from bfly.databases.postgres_pulse import QUIET, Pulse, Silent

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    Row = tuple[Any, ...]

__all__ = ["WAIT", "Limits", "ConnectionPool"]

T = TypeVar("T")

WAIT = 10
"""Seconds to wait for a new connection, or for a busy one of the pool."""

GRACE = 2.0
"""Seconds added to the server's own limit, so that its error message arrives first."""

SETTINGS = """
set statement_timeout = '{limits.statement}s'; set lock_timeout = '{limits.lock}s';
set idle_in_transaction_session_timeout = '{limits.idle}s';
set jit = off; set enable_seqscan = off; set enable_bitmapscan = off;
set plan_cache_mode = force_generic_plan
"""
"""Settings of a session. All queries are by key, so the best plan is fixed in advance."""


@dataclass(frozen=True)
class Limits:
    """Time limits of the sessions of a pool, in seconds; 0 means no limit.

    Parameters
    ----------
    statement : int
        Duration of one statement.
    lock : int
        Wait for the locks of other writers.
    idle : int
        Pause between two statements of a transaction.
    """

    statement: int
    lock: int
    idle: int


class Session(psycopg.Connection["Row"]):
    """Connection that closes itself and raises `Silent` when it gets no answer in time."""

    pulse: Pulse
    patience = inf
    """Seconds without an answer after which the connection is closed."""

    @override
    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:
        try:
            return super().wait(self._impatient(gen), *args, **kwargs)
        except Silent:
            self.close()
            raise

    def _impatient(self, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        """Wrap a psycopg generator, which resumes ten times a second while no data arrives."""
        heard = tested = 0.0
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if ready:
                    heard = 0.0
                else:
                    now = monotonic()
                    if not heard:
                        heard = tested = now
                    if now - heard > self.patience:
                        raise Silent(f"There was no answer for {self.patience:g} s.")
                    if now - tested > QUIET:
                        self.pulse.doubt()
                        tested = monotonic()
                wanted = gen.send(ready)
        except StopIteration as done:
            result: T = done.value
            return result


class ConnectionPool:
    """Pool of reusable connections.

    Unlike psycopg's own pool it connects in the calling thread. The caller gets a connection
    error at once, and the first call after an outage works.

    Parameters
    ----------
    address : str
        A libpq address.
    most : int
        Maximum number of connections.
    limits : Limits
        Time limits of each connection.
    pulse : Pulse
        Test of whether the server answers.
    """

    def __init__(self, address: str, most: int, limits: Limits, pulse: Pulse) -> None:
        self._address, self._most, self._limits, self._pulse = address, most, limits, pulse
        self._idle: deque[Session] = deque()
        self._room = threading.BoundedSemaphore(most)
        weakref.finalize(self, _close, self._idle)

    @contextmanager
    def connection(self, check: bool = False) -> Iterator[Session]:
        """Open a connection in autocommit mode; `check` tests that it is not broken."""
        self._pulse.check()
        if not self._room.acquire(timeout=WAIT):
            raise psycopg.OperationalError(f"{self._most} connections are busy for {WAIT} s")
        try:
            connection = self._waiting(check) or self.new()
            try:
                yield connection
            finally:
                if connection.pgconn.transaction_status == TransactionStatus.IDLE:
                    self._idle.append(connection)
                else:
                    connection.close()
        finally:
            self._room.release()

    def _waiting(self, check: bool) -> Session | None:
        with suppress(IndexError):
            while True:
                connection = self._idle.pop()
                try:
                    if check:
                        connection.execute("")
                except Silent:
                    raise
                except psycopg.OperationalError:
                    connection.close()
                else:
                    return connection
        return None

    def new(self) -> Session:
        """Return a new connection in autocommit mode, outside the pool.

        Raises
        ------
        Silent
            The server does not answer.
        psycopg.Error
            The server refuses the connection or cannot be reached.
        """
        self._pulse.check()
        begun = monotonic()
        try:
            connection = Session.connect(
                self._address, autocommit=True, cursor_factory=psycopg.RawCursor
            )
        except psycopg.errors.ConnectionTimeout as error:
            raise self._pulse.stopped(monotonic() - begun) from error
        connection.pulse = self._pulse
        connection.patience = (self._limits.statement or inf) + GRACE
        connection.execute(SETTINGS.format(limits=self._limits).encode())
        return connection


def _close(connections: deque[Session]) -> None:
    while connections:
        connections.pop().close()
