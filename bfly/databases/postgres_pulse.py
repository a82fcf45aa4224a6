"""Test of whether a PostgreSQL server answers at all.

A stopped server, or one behind a lost network, keeps its TCP connections but sends nothing.
Timeouts that the server enforces do not help then. So a thread that waits too long opens a new
connection. If that gets no answer either, the server is *silent*: all waiting threads give up.
Later calls fail at once until a test gets an answer.
"""

from __future__ import annotations

import threading
from math import inf
from time import monotonic

import psycopg
from psycopg.conninfo import make_conninfo

__all__ = ["QUIET", "Pulse", "Silent"]

QUIET = 2.0
"""Seconds without an answer after which a thread tests whether the server is silent. A normal
query takes milliseconds."""

PROBE = 3
"""Seconds that the test waits for a new connection, which normally takes about 10 ms."""

RETRY = 1.0
"""Seconds between two tests of a silent server. At most one thread tests at a time."""


class Silent(psycopg.OperationalError):
    """The server did not answer in time."""


class Pulse:
    """State of a server, answering or silent; one thread tests it for all.

    Parameters
    ----------
    address : str
        A libpq address.
    """

    def __init__(self, address: str) -> None:
        self._address = make_conninfo(address, connect_timeout=PROBE)
        self._probing = threading.Lock()
        self._reason = ""
        self._probed = -inf

    def check(self) -> None:
        """Raise `Silent` at once if the last test found the server silent; retest when due.

        Raises
        ------
        Silent
            The server does not answer.
        """
        if self._reason:
            self._test(blocking=False)

    def doubt(self) -> None:
        """Test whether the server is silent, or wait for the thread that is testing.

        Raises
        ------
        Silent
            The server does not answer.
        """
        self._test(blocking=True)

    def stopped(self, seconds: float) -> Silent:
        """Record that a new connection got no answer, and return the error for it."""
        self._reason, self._probed = f"The server has not answered for {seconds:g} s.", monotonic()
        return Silent(self._reason)

    def _test(self, blocking: bool) -> None:
        if not self._probing.acquire(blocking):
            raise Silent(self._reason)
        try:
            if monotonic() - self._probed >= RETRY:
                self._probe()
            if self._reason:
                raise Silent(self._reason)
        finally:
            self._probing.release()

    def _probe(self) -> None:
        begun = monotonic()
        try:
            psycopg.connect(self._address).close()
        except psycopg.errors.ConnectionTimeout:
            self.stopped(monotonic() - begun + (0 if self._reason else QUIET))
        except psycopg.Error:
            # A refusal is an answer too.
            self._reason = ""
        else:
            self._reason = ""
        self._probed = monotonic()
