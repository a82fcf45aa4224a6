"""Statements and transactions in the schema of a PostgreSQL database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from bfly.edits.sql_statements import SqlStatements

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from bfly.databases.postgres_server import PostgresServer

__all__ = ["PostgresStatements"]


class PostgresStatements(SqlStatements):
    """Base of what is kept in the schema of a database.

    Parameters
    ----------
    server : PostgresServer
        Server of the database.
    """

    schema: ClassVar[str] = "bfly."

    def __init__(self, server: PostgresServer) -> None:
        super().__init__()
        self._server = server

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
