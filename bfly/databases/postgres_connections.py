"""Connections to a PostgreSQL server, none of which waits without bound for an answer."""

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
"""Seconds to wait for a connection, a new one or one that others use."""

GRACE = 2.0
"""Seconds by which a thread waits longer than the server may compute: the server says why."""

SETTINGS = """
set statement_timeout = '{limits.statement}s'; set lock_timeout = '{limits.lock}s';
set idle_in_transaction_session_timeout = '{limits.idle}s';
set jit = off; set enable_seqscan = off; set enable_bitmapscan = off;
set plan_cache_mode = force_generic_plan
"""
"""All questions are for keys: the best plan is known."""


@dataclass(frozen=True)
class Limits:
    """How long the sessions of a pool may take, in seconds; 0 is without limit.

    Parameters
    ----------
    statement : int
        For one statement.
    lock : int
        For other writers.
    idle : int
        For this program, between two statements of a transaction.
    """

    statement: int
    lock: int
    idle: int


class Session(psycopg.Connection["Row"]):
    """A connection that is closed, with the error `Silent`, when it gets no answer in time."""

    pulse: Pulse
    patience = inf
    """Seconds without an answer that a working server may take."""

    @override
    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:
        try:
            return super().wait(self._impatient(gen), *args, **kwargs)
        except Silent:
            self.close()
            raise

    def _impatient(self, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        """Pass on what psycopg waits for; it wakes ten times a second while nothing comes."""
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
    """Connections that wait to be used again.

    Unlike psycopg's own pool it connects in the thread that asks, so that this one is told at
    once why it cannot, and the first call after any outage works.

    Parameters
    ----------
    address : str
        What libpq understands.
    most : int
        How many connections there may be.
    limits : Limits
        Of each.
    pulse : Pulse
        Whether the server answers.
    """

    def __init__(self, address: str, most: int, limits: Limits, pulse: Pulse) -> None:
        self._address, self._most, self._limits, self._pulse = address, most, limits, pulse
        self._idle: deque[Session] = deque()
        self._room = threading.BoundedSemaphore(most)
        weakref.finalize(self, _close, self._idle)

    @contextmanager
    def connection(self, check: bool = False) -> Iterator[Session]:
        """Open a connection in autocommit mode; one that was checked is not broken."""
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
        """Return a new connection in autocommit mode that is not of the pool.

        Raises
        ------
        Silent
            The server does not answer.
        psycopg.Error
            The server refuses, or cannot be reached.
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
