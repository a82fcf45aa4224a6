"""The log of edits in two tables of a SQL database; engines implement the connection."""

from __future__ import annotations

import os
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from bfly.edits.log import EditLog
from bfly.edits.operation import Operation
from bfly.edits.sql_edges import SqlEdges

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["SqlLog"]

TABLES = """
create table if not exists {schema}edits (
    channel bytea not null, id bigint not null, time double precision not null,
    who text not null, kind text not null, base bigint not null, body bytea not null,
    primary key (channel, id)
);
create table if not exists {schema}edit_snapshots (
    channel bytea not null, id bigint not null, part bigint not null, last bigint not null,
    body bytea not null, primary key (channel, id, part)
)
"""

PAGE = 256
"""Operations per query: bounds the memory of a read."""


class SqlLog(EditLog, SqlEdges):
    """Base of the logs in SQL."""

    def __init__(self) -> None:
        self._made = False

    def _announce(self) -> None:
        """Notify other processes, if the engine needs it. Called within a transaction."""

    @contextmanager
    @override
    def writing(self) -> Iterator[None]:
        if not self._there():
            # In a transaction of their own: an error in the body must not take them away.
            with self._transaction():
                for statement in TABLES.format(schema=self.schema).split(";"):
                    self._change(statement)
        with self._transaction():
            yield

    def _there(self) -> bool:
        """Check whether the tables exist. The first edit creates them."""
        self._made = self._made or self._exists("edit_snapshots")
        return self._made

    @override
    def append(self, channel: str, operation: Operation) -> None:
        self._change(
            f"insert into {self.schema}edits values ($1, $2, $3, $4, $5, $6, $7)",
            os.fsencode(channel),
            operation.id,
            operation.time,
            operation.who,
            operation.kind,
            operation.base,
            operation.pack(),
        )
        self._announce()

    @override
    def read(self, channel: str, after: int = 0) -> Iterator[Operation]:
        query = (
            f"select id, time, who, kind, base, body from {self.schema}edits "
            "where channel = $1 and id > $2 order by id limit $3"
        )
        while self._there() and (rows := self._ask(query, os.fsencode(channel), after, PAGE)):
            after = rows[-1][0]
            yield from map(_operation, rows)
            if len(rows) < PAGE:
                return

    @override
    def get(self, channel: str, numbers: Sequence[int]) -> Iterator[Operation]:
        for start in range(0, len(numbers), PAGE):
            some = numbers[start : start + PAGE]
            places = ", ".join(f"${place}" for place in range(2, len(some) + 2))
            query = (
                f"select id, time, who, kind, base, body from {self.schema}edits "
                f"where channel = $1 and id in ({places}) order by id"
            )
            yield from map(_operation, self._ask(query, os.fsencode(channel), *some))

    @override
    def last(self, channel: str) -> int:
        if not self._there():
            return 0
        query = f"select max(id) from {self.schema}edits where channel = $1"
        return self._ask(query, os.fsencode(channel))[0][0] or 0

    @override
    def snapshot(self, channel: str, most: int) -> tuple[int, Iterable[bytes]]:
        query = (
            f"select max(id) from {self.schema}edit_snapshots "
            "where channel = $1 and id <= $2 and part = last"
        )
        number = self._ask(query, os.fsencode(channel), most)[0][0] if self._there() else None
        return (number, self._parts(channel, number)) if number else (0, ())

    def _parts(self, channel: str, number: int) -> Iterator[bytes]:
        query = (
            f"select body, last from {self.schema}edit_snapshots "
            "where channel = $1 and id = $2 and part = $3"
        )
        for part in count():
            ((body, last),) = self._ask(query, os.fsencode(channel), number, part)
            yield body
            if part == last:
                return

    @override
    def keep_snapshot(self, channel: str, operation: int, parts: Iterable[bytes]) -> None:
        bodies = list(parts)
        for part, body in enumerate(bodies):
            # Readers look for the last part, so the snapshot is visible once it is complete.
            with self._transaction():
                if part == 0:
                    # One of an earlier version may be there.
                    self._change(
                        f"delete from {self.schema}edit_snapshots where channel = $1 and id = $2",
                        os.fsencode(channel),
                        operation,
                    )
                self._change(
                    f"insert into {self.schema}edit_snapshots values ($1, $2, $3, $4, $5) "
                    "on conflict (channel, id, part) do update set body = excluded.body",
                    os.fsencode(channel),
                    operation,
                    part,
                    len(bodies) - 1,
                    body,
                )


def _operation(row: tuple[Any, ...]) -> Operation:
    number, time, who, kind, base, body = row
    return Operation.unpack(body, id=number, time=time, who=who, kind=kind, base=base)
