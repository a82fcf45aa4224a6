"""Whether a PostgreSQL server answers at all.

A server that is stopped, or behind a network that is gone, keeps its TCP connections and says
nothing; time-outs that the server itself enforces do not help there. So a thread that waits for a
while asks for a new connection. A server that does not answer that one either is *silent*: all
threads give up, and later calls fail at once until one of them gets an answer.
"""

from __future__ import annotations

import threading
from math import inf
from time import monotonic

import psycopg
from psycopg.conninfo import make_conninfo

__all__ = ["QUIET", "Pulse", "Silent"]

QUIET = 2.0
"""Seconds without an answer after which a thread tests whether the server is silent: a usual
question takes milliseconds."""

PROBE = 3
"""Seconds that the test waits for a new connection, which takes some 10 ms."""

RETRY = 1.0
"""Seconds between two tests of a silent server, so that one thread at most waits for it."""


class Silent(psycopg.OperationalError):
    """A server did not answer in time."""


class Pulse:
    """Whether a server answers, as one thread finds out for all.

    Parameters
    ----------
    address : str
        What libpq understands.
    """

    def __init__(self, address: str) -> None:
        self._address = make_conninfo(address, connect_timeout=PROBE)
        self._probing = threading.Lock()
        self._reason = ""
        self._probed = -inf

    def check(self) -> None:
        """Raise `Silent` at once if the server is known to be silent, unless it is time for a test.

        Raises
        ------
        Silent
            The server does not answer.
        """
        if self._reason:
            self._test(blocking=False)

    def doubt(self) -> None:
        """Test whether the server is silent, or wait for the thread that does.

        Raises
        ------
        Silent
            The server does not answer.
        """
        self._test(blocking=True)

    def stopped(self, seconds: float) -> Silent:
        """Note that a new connection got no answer, and return the error that says so."""
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
            # A server that refuses does answer.
            self._reason = ""
        else:
            self._reason = ""
        self._probed = monotonic()
