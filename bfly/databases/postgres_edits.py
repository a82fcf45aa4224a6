"""Log of edits in PostgreSQL, with LISTEN and NOTIFY between processes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, ClassVar

import psycopg
from typing_extensions import override

from bfly.edits.sql_log import SqlLog

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from bfly.databases.postgres_server import PostgresServer

__all__ = ["PostgresLog"]


class PostgresLog(SqlLog):
    """Log of edits in the schema of a database.

    Parameters
    ----------
    server : PostgresServer
        Server of the database.
    """

    schema: ClassVar[str] = "bfly."

    def __init__(self, server: PostgresServer) -> None:
        super().__init__()
        self._server = server
        self._listening: psycopg.Connection[Any] | None = None
        self._waiting = threading.Lock()
        self._closed = False

    @override
    def _transaction(self) -> AbstractContextManager[None]:
        return self._server.transaction()

    @override
    def _ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._server.ask(query, *values)

    @override
    def _change(self, query: str, *values: Any) -> None:
        self._server.change(query, *values)

    @override
    def _exists(self, table: str) -> bool:
        return self._ask("select to_regclass($1)", f"bfly.{table}") != [(None,)]

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
