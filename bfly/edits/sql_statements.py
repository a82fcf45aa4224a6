"""Statements and transactions of a SQL database, which its engines implement.

SQLite accepts the type names of PostgreSQL, and both accept ``$1``. So both share one text of
each statement.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

__all__ = ["SqlStatements", "numbered"]


class SqlStatements(ABC):
    """Base of what is kept in SQL. An engine implements the four abstract methods."""

    schema: ClassVar[str] = ""
    """Prefix of the table names."""

    @abstractmethod
    def _transaction(self) -> AbstractContextManager[None]:
        """Return the context manager of a transaction, which waits for all other writers.

        On exit the changes are on disk, and visible to other processes. After an error none of
        them are kept.
        """

    @abstractmethod
    def _ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a query and return its rows."""

    @abstractmethod
    def _change(self, query: str, *values: Any) -> None:
        """Run a statement that writes, within a transaction."""

    @abstractmethod
    def _exists(self, table: str) -> bool:
        """Check whether a table exists."""


def numbered(values: tuple[Any, ...]) -> dict[str, Any]:
    """Return values as the parameters ``$1``, ``$2`` and so on, as SQLite takes them."""
    return {str(number): value for number, value in enumerate(values, 1)}
