"""Neurons and synapses packed into blobs: the shared code of the engines of packs.

`bfly.databases.packed.keys` defines the packs and their keys.
`bfly.databases.packed.blobs` is the interface that an engine implements.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from typing_extensions import override

from bfly.databases.packed.blobs import EVERYTHING, Gone, pages
from bfly.databases.packed.build import Build
from bfly.databases.packed.datasets import PackedDataset, table_name
from bfly.databases.packed.external_sort import Spool, temporary_file
from bfly.databases.packed.keys import KINDS, ORDERS, Pack
from bfly.databases.packed.links import LinkReads
from bfly.databases.packed.reads import HIGHEST
from bfly.databases.packed.rows import RowLayout, WordList
from bfly.databases.packed.update import Edit
from bfly.databases.store import amended, numbered
from bfly.tables.columns import KEYS, latest, ranges_of, typed, widened

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bfly.databases.packed.external_sort import NewFile
    from bfly.databases.store import Progress
    from bfly.tables.columns import Columns

__all__ = ["EVERYTHING", "KINDS", "Gone", "Pack", "PackedDatabase", "pages", "table_name"]

MANY = 20_000
"""Minimum number of written rows to repack a dataset instead of editing its packs."""


class PackedDatabase(LinkReads):
    """Database on any store of blobs; same parameters as `Database`."""

    @override
    def replace(
        self,
        path: str,
        fingerprint: str,
        neurons: Iterable[Columns],
        synapses: Iterable[Columns],
        progress: Progress | None = None,
    ) -> None:
        with self._new_files() as new_file:
            spools = {table: Spool(RowLayout(table), new_file) for table in KEYS}
            for table, batches in (("synapse", synapses), ("neuron", neurons)):
                for columns in batches:
                    spools[table].append(columns)
            with self._transaction():
                self._build(path, self._look_up(path), spools, new_file, fingerprint, progress)

    @contextmanager
    def _new_files(self) -> Iterator[NewFile]:
        with ExitStack() as files:
            yield lambda: files.enter_context(temporary_file(self._folder))

    def _build(
        self,
        path: str,
        old: PackedDataset | None,
        spools: dict[str, Spool],
        new_file: NewFile,
        fingerprint: str | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Pack a dataset and replace the old one.

        A fingerprint means that the rows come from files. Then neurons named only by synapses
        are added.
        """
        new = self._new()

        def fill(kind: str, packs: Iterable[Pack]) -> None:
            self._fill(new.number, kind, packs)

        build = Build(spools["synapse"], spools["neuron"], fill, new_file)
        build.run(complete=fingerprint is not None, progress=progress)
        if fingerprint is None:
            fingerprint = old.fingerprint if old else ""
        layouts = {table: spool.layout for table, spool in spools.items()}
        tables, ranges = tuple(layouts), spools["synapse"].ranges
        self._keep(
            path,
            PackedDataset(
                new.number, fingerprint, build.curve.shift, tables, layouts, build.counts, ranges
            ),
        )
        if old:
            self._drop(old.number)

    @override
    def upsert(self, table: str, path: str, columns: Columns) -> None:
        with self._transaction():
            self._put(self._look_up(path) or self._new(), table, path, columns)

    @override
    def append(self, table: str, path: str, columns: Columns) -> Columns:
        with self._transaction():
            dataset = self._look_up(path) or self._new()
            last = self._read(dataset.number, table, [(HIGHEST, HIGHEST)])
            rows = dataset.layouts[table].numbers(blob for _, blob in last)
            columns = numbered(table, columns, rows[KEYS[table]])
            self._put(dataset, table, path, columns)
        return columns

    @override
    def amend(self, table: str, path: str, columns: Columns) -> Columns:
        key = typed(table, columns)[KEYS[table]]
        with self._transaction():
            dataset = self._look_up(path) or self._new()
            old = dataset.layouts[table].columns(*self._rows(dataset, table, key))
            columns = amended(table, old, columns)
            self._put(dataset, table, path, columns)
        return columns

    def _put(self, dataset: PackedDataset, table: str, path: str, columns: Columns) -> None:
        """Write rows into their packs; repack the dataset if there are many rows."""
        layout, count = dataset.layouts[table].including(columns), dataset.counts[table]
        many = len(columns[KEYS[table]]) >= max(MANY, count // 4)
        if not many and layout == dataset.layouts[table]:
            added = self._edit(dataset, table, latest(table, columns))
            counts = {**dataset.counts, table: count + added}
            tables, ranges = tuple({*dataset.tables, table}), dataset.ranges
            if table == "synapse":
                ranges = widened(ranges, ranges_of(columns))
            self._keep(path, replace(dataset, counts=counts, tables=tables, ranges=ranges))
            return
        with self._new_files() as new_file:
            spools = {name: Spool(layout, new_file) for name, layout in dataset.layouts.items()}
            for name, spool in spools.items():
                for rows, words in self._all(dataset, name):
                    spool.append(dataset.layouts[name].columns(rows, words))
            spools[table].append(columns)
            self._build(path, dataset, spools, new_file)

    def _edit(self, dataset: PackedDataset, table: str, columns: Columns) -> int:
        """Write rows, sorted by id, into the packs of a dataset; return how many are new."""
        layout, texts = dataset.layouts[table], WordList()
        new = layout.rows(columns, texts)
        old, _ = self._rows(dataset, table, columns[KEYS[table]])
        for kind in ORDERS[table]:
            edit = Edit(kind, dataset.curve, layout, old, new, texts.words)
            packs = dict(self._read(dataset.number, kind, [(key, key) for key in edit.keys]))
            written, removed = edit.result(packs)
            self._remove(dataset.number, kind, removed)
            self._write(dataset.number, kind, written)
        return len(new) - len(old)
