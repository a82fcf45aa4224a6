"""Stored edges in a table of a SQL database, beside the log of edits."""

from __future__ import annotations

import os
from itertools import islice
from typing import TYPE_CHECKING

from typing_extensions import override

from bfly.edits.sql_statements import SqlStatements
from bfly.edits.stored_edges import EdgeStore
from bfly.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["SqlEdges"]

TABLE = """
create table if not exists {schema}edit_edges (
    channel bytea not null, edition bigint not null, part bigint not null, start bytea not null,
    body bytea not null, primary key (channel, edition, part)
)
"""

COMPLETE = -1
"""Part that is written last: an edition without it is never read."""

AT_ONCE = 256
"""Parts of a query, or of a transaction: an edit does not wait for a whole import."""


class SqlEdges(SqlStatements, EdgeStore):
    """Base of the stores of edges in SQL."""

    def _edition(self, channel: str, is_complete: bool = True) -> int:
        """Return the latest edition, with those that are not complete or without; 0 if none."""
        only = f" and part = {COMPLETE}" if is_complete else ""
        query = f"select max(edition) from {self.schema}edit_edges where channel = $1{only}"
        return int(self._ask(query, os.fsencode(channel))[0][0] or 0)

    @override
    def edge_starts(self, channel: str) -> tuple[int, Sequence[int]]:
        edition = self._edition(channel) if self._exists("edit_edges") else 0
        query = (
            f"select start from {self.schema}edit_edges "
            "where channel = $1 and edition = $2 and part >= 0 order by part"
        )
        rows = self._ask(query, os.fsencode(channel), edition) if edition else []
        return edition, [int.from_bytes(start, "big") for (start,) in rows]

    @override
    def edge_parts(self, channel: str, edition: int, numbers: Sequence[int]) -> Iterator[bytes]:
        for start in range(0, len(numbers), AT_ONCE):
            some = numbers[start : start + AT_ONCE]
            places = ", ".join(f"${place}" for place in range(3, len(some) + 3))
            query = (
                f"select body from {self.schema}edit_edges "
                f"where channel = $1 and edition = $2 and part in ({places}) order by part"
            )
            rows = self._ask(query, os.fsencode(channel), edition, *some)
            if len(rows) < len(some):
                raise DatabaseError(f"The edges of {channel} were imported again meanwhile.")
            yield from (body for (body,) in rows)

    @override
    def keep_edges(self, channel: str, parts: Iterable[tuple[int, bytes]]) -> None:
        with self._transaction():
            self._change(TABLE.format(schema=self.schema))
        edition, name = self._edition(channel, is_complete=False) + 1, os.fsencode(channel)
        insert = f"insert into {self.schema}edit_edges values ($1, $2, $3, $4, $5)"
        numbered = enumerate(parts)
        while some := list(islice(numbered, AT_ONCE)):
            with self._transaction():
                for part, (start, body) in some:
                    self._change(insert, name, edition, part, start.to_bytes(8, "big"), body)
        with self._transaction():
            self._change(insert, name, edition, COMPLETE, b"", b"")
            self._change(
                f"delete from {self.schema}edit_edges where channel = $1 and edition < $2",
                name,
                edition,
            )
