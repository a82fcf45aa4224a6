"""Metadata of packed datasets and of their channels."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from typing_extensions import override

from bfly.databases.packed.blobs import Blobs
from bfly.databases.packed.curve import SECTIONS, Curve
from bfly.databases.packed.rows import RowLayout
from bfly.databases.packed.table import PackedTable
from bfly.errors import DatabaseError
from bfly.geometry import Zyx, zyx
from bfly.tables.columns import KEYS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.keywords import RUNTIME
    from bfly.tables.columns import Ranges

__all__ = ["PackedDataset", "Datasets", "table_name"]

VERSION = "2"
"""Version of the packed layout: its keys, packs and metadata."""


def table_name(number: int, kind: str) -> str:
    """Return the table name of one kind of packs in a set."""
    return f"{kind}_{number}"


@dataclass(frozen=True)
class PackedDataset:
    """Set of packs, and the metadata needed to read it.

    Parameters
    ----------
    number : int
        Number of the set.
    fingerprint : str
        State of the files last loaded.
    shift : tuple of int
        Shift of the `Curve` that sorts the synapses.
    tables : tuple of str
        Names of the tables added so far.
    layouts : dict
        Row layout of each table.
    counts : dict
        Number of rows of each table.
    ranges : Ranges
        Ranges of the synapse columns; may still cover replaced rows.
    revision : int
        Counter of changes.
    """

    number: int
    fingerprint: str = ""
    shift: Zyx = SECTIONS
    tables: tuple[str, ...] = ()
    layouts: dict[str, RowLayout] = field(default_factory=lambda: {t: RowLayout(t) for t in KEYS})
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KEYS, 0))
    ranges: Ranges = field(default_factory=dict)
    revision: int = 0

    @property
    def curve(self) -> Curve:
        """Curve that sorts the synapses."""
        return Curve(self.shift)

    @classmethod
    def parse(cls, text: str) -> PackedDataset:
        """Parse the output of `dump`."""
        values = json.loads(text)
        values["shift"], values["tables"] = zyx(values["shift"]), tuple(values["tables"])
        values["ranges"] = {name: (low, high) for name, (low, high) in values["ranges"].items()}
        for table, layout in values["layouts"].items():
            extras = tuple((name, kind) for name, kind in layout["extras"])
            values["layouts"][table] = RowLayout(table, layout["wide"], extras)
        return cls(**values)

    def dump(self) -> str:
        """Return the metadata as JSON."""
        return json.dumps(asdict(self))


class Datasets(Blobs):
    """Store of the metadata of datasets; same parameters as `Database`."""

    def __init__(self, path: str, _runtime: RUNTIME) -> None:
        super().__init__(path, _runtime)
        self._paths: dict[str, str] = {}
        self._known: dict[str, PackedDataset] = {}

    def _check_version(self) -> None:
        """Write the version to a new store, or check that of an old one.

        Raises
        ------
        DatabaseError
            The store has another version.
        """
        if self._get("version") is None:
            with self._transaction():
                self._set("version", self._get("version") or VERSION)
        if (version := self._get("version")) != VERSION:
            raise DatabaseError(
                f"{self.path} has version {version} of the packed layout, this Butterfly reads "
                f"{VERSION}: load the files into another database."
            )

    @override
    def add_path(self, c_path: str, d_path: str) -> None:
        self.add_paths({c_path: d_path})

    @override
    def add_paths(self, paths: Mapping[str, str]) -> None:
        changed = {c: path for c, path in paths.items() if self._get(f"path:{c}") != path}
        if changed:
            with self._transaction():
                for channel, path in changed.items():
                    self._set(f"path:{channel}", path)
        self._paths.update(paths)

    @override
    def get_path(self, path: str) -> str:
        if path not in self._paths and path not in self._known:
            if (d_path := self._get(f"path:{path}")) is None:
                return path
            self._paths[path] = d_path
        return self._paths.get(path, path)

    @override
    def add_table(self, table: str, path: str) -> bool:
        path = self.dataset(path)
        if self.get_table(table, path) is None:
            with self._transaction():
                dataset = self._look_up(path) or self._new()
                self._keep(path, replace(dataset, tables=(*dataset.tables, table)))
        return True

    @override
    def get_table(self, table: str, path: str) -> PackedTable | None:
        path = self.dataset(path)
        dataset = self._look_up(path)
        there = dataset is not None and table in dataset.tables
        return PackedTable(self, table, path) if there else None

    @override
    def commit(self) -> None:
        """Do nothing: every write is already committed."""

    @override
    def fingerprint(self, path: str) -> str:
        dataset = self._look_up(path)
        return dataset.fingerprint if dataset else ""

    @override
    def count(self, table: str, path: str) -> int:
        dataset = self._look_up(path)
        return dataset.counts[table] if dataset else 0

    @override
    def state(self, path: str) -> str:
        dataset = self._look_up(path)
        return f"{dataset.number}.{dataset.revision}" if dataset else ""

    @override
    def ranges(self, path: str) -> Ranges:
        dataset = self._look_up(path)
        return dataset.ranges if dataset else {}

    def _look_up(self, path: str) -> PackedDataset | None:
        text = self._get(f"dataset:{path}")
        return None if text is None else PackedDataset.parse(text)

    def _keep(self, path: str, dataset: PackedDataset) -> None:
        self._set(f"dataset:{path}", replace(dataset, revision=dataset.revision + 1).dump())

    def _new(self) -> PackedDataset:
        """Create an empty set of packs."""
        number = int(self._get("number") or 0) + 1
        self._set("number", str(number))
        self._create(number)
        return PackedDataset(number)
