"""Log of edits in PostgreSQL, with LISTEN and NOTIFY between processes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import psycopg
from typing_extensions import override

from bfly.databases.postgres_statements import PostgresStatements
from bfly.edits.sql_log import SqlLog

if TYPE_CHECKING:
    from bfly.databases.postgres_server import PostgresServer

__all__ = ["PostgresLog"]


class PostgresLog(PostgresStatements, SqlLog):
    """Log of edits in the schema of a database.

    Parameters
    ----------
    server : PostgresServer
        Server of the database.
    """

    def __init__(self, server: PostgresServer) -> None:
        super().__init__(server)
        self._listening: psycopg.Connection[Any] | None = None
        self._waiting = threading.Lock()
        self._closed = False

    @override
    def _announce(self) -> None:
        self._change("notify bfly_edits")

    @override
    def wait(self, seconds: float) -> None:
        try:
            with self._waiting, self._server.errors():
                self._listen(seconds)
        finally:
            if self._closed:
                with self._waiting:
                    self._hang_up()

    def _listen(self, seconds: float) -> None:
        try:
            if self._listening is None:
                # Notifications before LISTEN may be lost, so the caller reads at once.
                self._listening = self._server.connect()
                self._listening.execute("listen bfly_edits")
                return
            for _ in self._listening.notifies(timeout=seconds, stop_after=1):
                return
        except psycopg.Error:
            self._hang_up()
            raise

    def _hang_up(self) -> None:
        if self._listening is not None:
            self._listening.close()
            self._listening = None

    @override
    def close(self) -> None:
        self._closed = True
        # A thread that waits hangs up by itself.
        if self._waiting.acquire(blocking=False):
            try:
                self._hang_up()
            finally:
                self._waiting.release()
