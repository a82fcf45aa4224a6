"""Annotations in memory: a database of SQLite without a file."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from bfly.annotations.store import AnnotationStore
from bfly.edits.sql_statements import numbered

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MemoryAnnotations"]


class MemoryAnnotations(AnnotationStore):
    """Annotations in memory, which are lost when the process ends."""

    durable: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self._connection = sqlite3.connect(
            ":memory:", isolation_level=None, check_same_thread=False
        )
        self._using = threading.RLock()

    @override
    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._using:
            self._connection.execute("BEGIN")
            try:
                yield
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    @override
    def _ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._using:
            return self._connection.execute(query, numbered(values)).fetchall()

    @override
    def _change(self, query: str, *values: Any) -> None:
        self._ask(query, *values)

    @override
    def _exists(self, table: str) -> bool:
        return bool(self._ask("select 1 from sqlite_schema where name = $1", table))
