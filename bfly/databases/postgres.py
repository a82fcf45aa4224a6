"""Packs in PostgreSQL, shared by any number of Butterfly processes.

All tables are in the schema ``bfly``. A set of packs has one table for each kind, named like
``place_7``, and its number in ``bfly.sets``. Dropping a set deletes its number. Its tables are
dropped once no reader uses them, so that readers and writers never wait for each other.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from psycopg.errors import UndefinedTable
from typing_extensions import override

from bfly.databases.packed.database import (
    EVERYTHING,
    KINDS,
    Gone,
    PackedDatabase,
    pages,
    table_name,
)
from bfly.databases.postgres_annotations import PostgresAnnotations
from bfly.databases.postgres_edits import PostgresLog
from bfly.databases.postgres_server import EDITS, PostgresServer
from bfly.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bfly.annotations.store import AnnotationStore
    from bfly.databases.packed.database import Pack
    from bfly.edits.log import EditLog
    from bfly.keywords import RUNTIME

__all__ = ["Postgres"]

log = logging.getLogger(__name__)

SCHEMA = """
do $$ begin if to_regnamespace('bfly') is null then create schema bfly; end if; end $$;
create table if not exists bfly.words (name bytea primary key, value bytea not null);
create table if not exists bfly.sets (number bigint primary key)
"""

ONE, MANY = "(values ($1::bytea, $2::bytea))", "unnest($1::bytea[], $2::bytea[])"
"""Bounds of one range, and of any number of ranges. For one range, `MANY` takes twice as long."""

RANGE = """
    select key, blob from {{table}} where key <= {high} and key >= coalesce(
        (select key from {{table}} where key <= {low} order by key desc limit 1), {low})
"""

READ = f"""
select distinct on (pack.key) pack.* from {{ends}} ends (low, high), lateral (
    {RANGE.format(low="low", high="high")}
) pack where exists (select from bfly.sets where number = $3)
"""
READ_ONE, READ_MANY = (
    READ.format(ends=ONE, table="{table}"),
    READ.format(ends=MANY, table="{table}"),
)

LENGTHS = READ_MANY.replace("pack.* from", "pack.key, octet_length(pack.blob) from")
"""Query for the keys and lengths of the packs of ranges."""

READ_AT = """
select key, blob from {table}
where key <= $1 and exists (select from bfly.sets where number = $2) order by key desc limit 1
"""
"""Query for a range of one key, which takes a third less time than `READ_ONE`."""

INLINE = 8160
"""Bytes of the longest row that fits a page, so that packs up to this size stay out of TOAST."""

SCAN = RANGE.format(low="$1", high="$2") + " order by key limit $3"

PAGE_OF_PACKS = 64
"""Packs per query of a scan; at least two."""

LEFT_OVER = f"""
select tablename from pg_tables
where schemaname = 'bfly' and tablename ~ '^({"|".join(KINDS)})_[0-9]+$' and not exists
    (select from bfly.sets where number = split_part(tablename, '_', 2)::bigint)
"""


class Postgres(PackedDatabase):
    """Database in PostgreSQL.

    Parameters
    ----------
    path : str
        A libpq address: ``postgresql://user@host:port/name``, pairs like
        ``host=db dbname=name``, or the folder with the server's socket. Missing parts come
        from libpq's environment variables (``PGHOST``, ``PGPASSWORD``, ...) and files.
    _runtime : RUNTIME
        ``DB.PORT.VALUE``, if set, overrides the port in `path`.

    Attributes
    ----------
    path : str
        The address without secrets.

    Raises
    ------
    DatabaseError
        The server cannot be reached or used.
    """

    waits = True

    def __init__(self, path: str, _runtime: RUNTIME) -> None:
        self._server = PostgresServer(path, _runtime.DB.PORT.VALUE)
        self._edits = PostgresServer(path, _runtime.DB.PORT.VALUE, EDITS)
        super().__init__(str(self._server), _runtime)
        # A user that may not create a schema or a table can use an existing one.
        if self._server.ask("select to_regclass('bfly.sets')") == [(None,)]:
            with self._server.transaction():
                self._server.change(SCHEMA)
        self._check_version()
        self._sweep()

    @override
    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._server.transaction():
            self._dropped = False
            yield
            dropped = self._dropped
        if dropped:
            self._sweep()

    @override
    def edit_log(self) -> EditLog:
        return PostgresLog(self._edits)

    @override
    def annotation_store(self) -> AnnotationStore:
        return PostgresAnnotations(self._edits)

    def _sweep(self) -> None:
        """Drop the tables of dropped sets, except those with active readers."""
        for (name,) in self._server.ask(LEFT_OVER):
            try:
                self._server.change_at_once(f"drop table if exists bfly.{name}")
            except DatabaseError as error:
                log.info("Table bfly.%s is kept until the next load: %s", name, error)

    @override
    def _get(self, name: str) -> str | None:
        query = "select value from bfly.words where name = $1"
        rows = self._server.ask(query, _encoded(name))
        return rows[0][0].decode(errors="surrogateescape") if rows else None

    @override
    def _set(self, name: str, value: str) -> None:
        self._server.change(
            "insert into bfly.words values ($1, $2) "
            "on conflict (name) do update set value = excluded.value",
            _encoded(name),
            _encoded(value),
        )

    @override
    def _create(self, number: int) -> None:
        self._server.change("insert into bfly.sets values ($1)", number)
        for kind in KINDS:
            table = _table(number, kind)
            self._server.change(
                f"create table {table} (key bytea primary key, blob bytea not null) "
                f"with (toast_tuple_target = {INLINE})"
            )
            # Compressing a blob takes longer than reading it uncompressed.
            self._server.change(f"alter table {table} alter blob set storage external")

    @override
    def _drop(self, number: int) -> None:
        self._server.change("delete from bfly.sets where number = $1", number)
        self._dropped = True

    @override
    def _read(self, number: int, kind: str, ranges: list[tuple[bytes, bytes]]) -> Iterable[Pack]:
        lows, highs = [low for low, _ in ranges], [high for _, high in ranges]
        query, values = READ_MANY, tuple[Any, ...]((lows, highs))
        if len(ranges) == 1:
            query, values = (READ_AT, (lows[0],)) if lows == highs else (READ_ONE, ranges[0])
        query = query.format(table=_table(number, kind))
        with _gone(number):
            packs = self._server.ask(query, *values, number)
        if not packs:
            self._check(number)
        return packs

    @override
    def _lengths(
        self, number: int, kind: str, ranges: list[tuple[bytes, bytes]]
    ) -> list[tuple[bytes, int]]:
        lows, highs = [low for low, _ in ranges], [high for _, high in ranges]
        query = LENGTHS.format(table=_table(number, kind))
        with _gone(number):
            lengths: list[tuple[bytes, int]] = self._server.ask(query, lows, highs, number)
        if not lengths:
            self._check(number)
        return lengths

    @override
    def _scan(
        self, number: int, kind: str, ranges: list[tuple[bytes, bytes]] = EVERYTHING
    ) -> Iterator[Pack]:
        self._check(number)
        query = SCAN.format(table=_table(number, kind))

        def page(low: bytes, high: bytes, most: int) -> list[Pack]:
            with _gone(number):
                return self._server.ask(query, low, high, most)

        yield from pages(page, ranges, PAGE_OF_PACKS)

    def _check(self, number: int) -> None:
        if not self._server.ask("select from bfly.sets where number = $1", number):
            raise Gone(number)

    @override
    def _write(self, number: int, kind: str, packs: Iterable[Pack]) -> None:
        query = (
            f"insert into {_table(number, kind)} values ($1, $2) "
            "on conflict (key) do update set blob = excluded.blob"
        )
        with self._server.writing() as cursor:
            cursor.executemany(query.encode(), packs)

    @override
    def _remove(self, number: int, kind: str, keys: Iterable[bytes]) -> None:
        query = f"delete from {_table(number, kind)} where key = any($1)"
        self._server.change(query, list(keys))

    @override
    def _fill(self, number: int, kind: str, packs: Iterable[Pack]) -> None:
        query = f"copy {_table(number, kind)} from stdin (format binary)"
        with self._server.writing() as cursor, cursor.copy(query.encode()) as copy:
            copy.set_types(["bytea", "bytea"])
            for pack in packs:
                copy.write_row(pack)


@contextmanager
def _gone(number: int) -> Iterator[None]:
    """Raise `Gone` instead of the error for a table that was dropped meanwhile."""
    try:
        yield
    except DatabaseError as error:
        if isinstance(error.__cause__, UndefinedTable):
            raise Gone(number) from error
        raise


def _table(number: int, kind: str) -> str:
    return f"bfly.{table_name(number, kind)}"


def _encoded(text: str) -> bytes:
    """Return text as bytes; it may contain a file name that is not valid Unicode."""
    return text.encode(errors="surrogateescape")
