"""Queries on datasets that are packed into blobs."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from typing_extensions import override

from bfly.databases.lod import TOP, tiers_of
from bfly.databases.packed.blobs import Gone
from bfly.databases.packed.datasets import Datasets, PackedDataset
from bfly.databases.packed.keys import key_bytes, keys_of
from bfly.errors import DatabaseError
from bfly.tables.columns import KEYS, empty, partners_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bfly.databases.packed.keys import Pack
    from bfly.databases.packed.rows import Rows
    from bfly.databases.reader import Ids
    from bfly.geometry import BoundingBox
    from bfly.tables.columns import Columns

__all__ = ["HIGHEST", "LOWEST", "PackedReads"]

T = TypeVar("T")

LOWEST, HIGHEST = bytes(8), b"\xff" * 8
"""Lowest and highest value of an integer of a key, as bytes."""

CUBES, FEW_CUBES = 27, 8
"""Maximum cubes that cover a box, for all synapses and for those of one neuron. Fewer cubes
cover more outside the box, more cubes take longer to look up."""

SEVERAL = 400
"""Packs decoded at once when many rows are read."""


class PackedReads(Datasets):
    """Queries answered from packs; same parameters as `Database`."""

    def _ask(self, path: str, question: Callable[[PackedDataset], T]) -> T | None:
        """Run a query on a dataset, again after a reload; None if the dataset does not exist."""
        dataset = self._known.get(path) or self._look_up(path)
        while dataset:
            self._known[path] = dataset
            try:
                return question(dataset)
            except Gone as error:
                lost, dataset = dataset.number, self._look_up(path)
                if dataset and dataset.number == lost:
                    raise DatabaseError(f"{self.path} has lost the tables of {path}.") from error
        self._known.pop(path, None)
        return None

    @override
    def get_by_key(self, table: str, path: str, key: int) -> dict[str, Any]:
        if not 0 <= key < 2**64:
            return {}
        name = int(key).to_bytes(8, "big")

        def question(dataset: PackedDataset) -> dict[str, Any]:
            # Reads only one row: unpacking the whole pack takes several times as long.
            for _, blob in self._read(dataset.number, table, [(name, name)]):
                return dataset.layouts[table].entry(blob, key)
            return {}

        return self._ask(self.dataset(path), question) or {}

    @override
    def rows(self, table: str, path: str, ids: Ids) -> Columns:
        def question(dataset: PackedDataset) -> Columns:
            return dataset.layouts[table].columns(*self._rows(dataset, table, ids))

        return self._ask(path, question) or empty(table)

    def _rows(self, dataset: PackedDataset, table: str, ids: Ids) -> tuple[Rows, list[str]]:
        keys = [number.to_bytes(8, "big") for number in ids.tolist()]
        packs = dict(self._read(dataset.number, table, [(key, key) for key in keys]))
        blobs = [packs[key] for key in sorted(packs)]
        rows, words = dataset.layouts[table].unpack(blobs)
        stored = rows[KEYS[table]].copy()
        places = stored.searchsorted(ids)
        places = places[stored.take(places, mode="clip") == ids] if len(stored) else places[:0]
        return rows.take(places), words

    @override
    def ids(self, table: str, path: str) -> Ids:
        def question(dataset: PackedDataset) -> Ids:
            parts = [rows[KEYS[table]] for rows, _ in self._all(dataset, table)]
            return np.concatenate([np.empty(0, np.uint64), *parts])

        ids = self._ask(path, question)
        return np.empty(0, np.uint64) if ids is None else ids

    @override
    def synapses_in(self, path: str, box: BoundingBox) -> Columns:
        def question(dataset: PackedDataset) -> Columns:
            return self._sorted(dataset, self._places(dataset, box), box)

        return self._ask(path, question) or empty("synapse")

    @override
    def ids_in(self, path: str, box: BoundingBox) -> Ids:
        def question(dataset: PackedDataset) -> Ids:
            layout = dataset.layouts["synapse"]
            rows = layout.numbers(self._places(dataset, box))
            ids: Ids = rows["__id"][layout.inside(rows, box)]
            ids.sort()
            return ids

        ids = self._ask(path, question)
        return np.empty(0, np.uint64) if ids is None else ids

    def _places(self, dataset: PackedDataset, box: BoundingBox) -> Iterable[bytes]:
        return dict(self._read(dataset.number, "place", _ranges(dataset, box))).values()

    @override
    def thinned(self, path: str, first: int, last: int, box: BoundingBox) -> Columns:
        def question(dataset: PackedDataset) -> Columns:
            layout = dataset.layouts["synapse"]
            blobs = self._tiers(dataset, first, last, box) if first else self._places(dataset, box)
            rows, words = layout.unpack(blobs)
            tiers = tiers_of(rows["__id"])
            hit = layout.inside(rows, box) & (tiers >= first) & (tiers <= last)
            return layout.columns(rows.take(np.flatnonzero(hit)), words)

        return self._ask(path, question) or empty("synapse")

    def _tiers(
        self, dataset: PackedDataset, first: int, last: int, box: BoundingBox
    ) -> Iterable[bytes]:
        heads = [tier.to_bytes(8, "big") for tier in range(first, last + 1)]
        if last == TOP:
            # So few rows remain that selecting packs by position does not pay.
            ranges = [(heads[0] + 2 * LOWEST, 3 * HIGHEST)]
        else:
            ends = _ranges(dataset, box)
            ranges = [(head + low, head + high) for head in heads for low, high in ends]
        return dict(self._read(dataset.number, "tier", ranges)).values()

    @override
    def synapses_of(self, path: str, neuron: int, box: BoundingBox | None = None) -> Columns:
        def question(dataset: PackedDataset) -> Columns:
            return self._sorted(dataset, self._links(dataset, neuron, box), box)

        return self._ask(path, question) or empty("synapse")

    def _links(self, dataset: PackedDataset, neuron: int, box: BoundingBox | None) -> list[bytes]:
        packs = dict(self._read(dataset.number, "link", _link_ranges(dataset, neuron, box)))
        owner = int(neuron).to_bytes(8, "big")
        return [blob for key, blob in packs.items() if key[:8] == owner]

    def _sorted(
        self, dataset: PackedDataset, blobs: Iterable[bytes], box: BoundingBox | None
    ) -> Columns:
        layout = dataset.layouts["synapse"]
        rows, words = layout.unpack(blobs)
        if box is not None:
            rows = rows[layout.inside(rows, box)]
        return layout.columns(rows.take(rows["__id"].argsort()), words)

    @override
    def partners(self, path: str, neuron: int) -> tuple[Ids, Ids]:
        def question(dataset: PackedDataset) -> tuple[Ids, Ids]:
            rows = dataset.layouts["synapse"].numbers(self._links(dataset, neuron, None))
            return partners_of(rows["n1"], rows["n2"], neuron)

        none = np.empty(0, np.uint64)
        return self._ask(path, question) or (none, none)

    @override
    def scan(
        self,
        path: str,
        box: BoundingBox | None = None,
        neuron: int | None = None,
        table: str = "synapse",
    ) -> Iterator[Columns]:
        if (dataset := self._look_up(path)) is None:
            return
        layout = dataset.layouts[table]
        yield layout.columns(np.empty(0, layout.dtype), [])
        if neuron is not None:
            chunks = self._all_links(dataset, neuron, box)
        elif box is not None:
            places = self._scan(dataset.number, "place", _ranges(dataset, box))
            chunks = self._unpacked(dataset, "place", places)
        else:
            chunks = self._all(dataset, table)
        try:
            for rows, words in chunks:
                yield layout.columns(rows if box is None else rows[layout.inside(rows, box)], words)
        except Gone as error:
            raise DatabaseError(f"{path} was reloaded while it was read.") from error

    def _all(self, dataset: PackedDataset, table: str) -> Iterator[tuple[Rows, list[str]]]:
        """Yield all rows of a table, sorted by id."""
        return self._unpacked(dataset, table, self._scan(dataset.number, table))

    def _all_links(
        self, dataset: PackedDataset, neuron: int, box: BoundingBox | None
    ) -> Iterator[tuple[Rows, list[str]]]:
        """Yield all synapses of a neuron, or those in a box and some around it."""
        owner = int(neuron).to_bytes(8, "big")
        links = self._scan(dataset.number, "link", _link_ranges(dataset, neuron, box))
        return self._unpacked(dataset, "link", (pack for pack in links if pack[0][:8] == owner))

    def _unpacked(
        self, dataset: PackedDataset, kind: str, packs: Iterator[Pack]
    ) -> Iterator[tuple[Rows, list[str]]]:
        """Yield the rows of packs in order, each once; links must be of one neuron."""
        layout, last = dataset.layouts["neuron" if kind == "neuron" else "synapse"], None
        while blobs := [blob for _, blob in islice(packs, SEVERAL)]:
            rows, words = layout.unpack(blobs)
            # All links have the same owner, so the order of their keys is that of "place".
            order = "place" if kind == "link" else kind
            keys = key_bytes(keys_of(order, dataset.curve, rows))
            # If a pack was split after it was read, some of its rows come again.
            if (keys[1:] <= keys[:-1]).any():
                keys, places = np.unique(keys, return_index=True)
                rows = rows.take(places)
            rows = rows[0 if last is None else keys.searchsorted(last, "right") :]
            if len(rows):
                last = keys[-1]
                yield rows, words


def _ranges(
    dataset: PackedDataset, box: BoundingBox, cubes: int = CUBES
) -> list[tuple[bytes, bytes]]:
    """Return the ranges of "place" keys that cover a box."""
    return [(low + LOWEST, high + HIGHEST) for low, high in dataset.curve.keys(box, cubes)]


def _link_ranges(
    dataset: PackedDataset, neuron: int, box: BoundingBox | None
) -> list[tuple[bytes, bytes]]:
    """Return the key ranges of a neuron's links, in a box if given."""
    owner = int(neuron).to_bytes(8, "big")
    if box is None:
        return [(owner + 2 * LOWEST, owner + 2 * HIGHEST)]
    return [(owner + low, owner + high) for low, high in _ranges(dataset, box, FEW_CUBES)]
