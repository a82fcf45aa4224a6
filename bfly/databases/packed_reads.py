"""Questions to datasets that are packed into blobs."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from typing_extensions import override

from bfly.databases.blobs import Gone
from bfly.databases.columns import KEYS, empty
from bfly.databases.datasets import Dataset, Datasets
from bfly.databases.tiers import TOP, tiers_of
from bfly.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bfly.databases.columns import Columns
    from bfly.databases.packs import Rows
    from bfly.databases.store import Ids
    from bfly.geometry import BoundingBox

__all__ = ["HIGHEST", "PackedReads"]

T = TypeVar("T")

LOWEST, HIGHEST = bytes(8), b"\xff" * 8
"""Of the integers of a key."""

CUBES, FEW_CUBES = 27, 8
"""By how many cubes a box is covered where all synapses are looked through, and where only
those of a neuron are: fewer cover more than the box, more take longer to look up."""

SEVERAL = 400
"""How many packs are decoded at once when all rows are read."""


class PackedReads(Datasets):
    """Answers from packs; the arguments are those of `Database`."""

    def _ask(self, path: str, question: Callable[[Dataset], T]) -> T | None:
        """Ask a question of a dataset; None if there is no such dataset."""
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
    def rows(self, table: str, path: str, ids: Ids) -> Columns:
        def question(dataset: Dataset) -> Columns:
            return dataset.layouts[table].columns(*self._rows(dataset, table, ids))

        return self._ask(path, question) or empty(table)

    def _rows(self, dataset: Dataset, table: str, ids: Ids) -> tuple[Rows, list[str]]:
        keys = [number.to_bytes(8, "big") for number in ids.tolist()]
        found = dict(self._read(dataset.number, table, [(key, key) for key in keys]))
        blobs = [found[key] for key in sorted(found)]
        rows, words = dataset.layouts[table].unpack(blobs)
        known = rows[KEYS[table]].copy()
        places = known.searchsorted(ids)
        places = places[known.take(places, mode="clip") == ids] if len(known) else places[:0]
        return rows.take(places), words

    @override
    def ids(self, table: str, path: str) -> Ids:
        def question(dataset: Dataset) -> Ids:
            parts = [rows[KEYS[table]] for rows, _ in self._all(dataset, table)]
            return np.concatenate([np.empty(0, np.uint64), *parts])

        ids = self._ask(path, question)
        return np.empty(0, np.uint64) if ids is None else ids

    @override
    def synapses_in(self, path: str, box: BoundingBox) -> Columns:
        def question(dataset: Dataset) -> Columns:
            return self._sorted(dataset, self._places(dataset, box), box)

        return self._ask(path, question) or empty("synapse")

    @override
    def ids_in(self, path: str, box: BoundingBox) -> Ids:
        def question(dataset: Dataset) -> Ids:
            layout = dataset.layouts["synapse"]
            rows = layout.numbers(self._places(dataset, box))
            ids: Ids = rows["__id"][layout.inside(rows, box)]
            ids.sort()
            return ids

        ids = self._ask(path, question)
        return np.empty(0, np.uint64) if ids is None else ids

    def _places(self, dataset: Dataset, box: BoundingBox) -> Iterable[bytes]:
        cubes = dataset.curve.keys(box, CUBES)
        ranges = [(low + LOWEST, high + HIGHEST) for low, high in cubes]
        return dict(self._read(dataset.number, "place", ranges)).values()

    @override
    def thinned(self, path: str, first: int, last: int, box: BoundingBox) -> Columns:
        def question(dataset: Dataset) -> Columns:
            layout = dataset.layouts["synapse"]
            found = self._tiers(dataset, first, last, box) if first else self._places(dataset, box)
            rows, words = layout.unpack(found)
            tiers = tiers_of(rows["__id"])
            hit = layout.inside(rows, box) & (tiers >= first) & (tiers <= last)
            return layout.columns(rows.take(np.flatnonzero(hit)), words)

        return self._ask(path, question) or empty("synapse")

    def _tiers(self, dataset: Dataset, first: int, last: int, box: BoundingBox) -> Iterable[bytes]:
        heads = [tier.to_bytes(8, "big") for tier in range(first, last + 1)]
        if last == TOP:
            # There are so few that they are not sorted out by place.
            ranges = [(heads[0] + 2 * LOWEST, 3 * HIGHEST)]
        else:
            cubes = dataset.curve.keys(box, CUBES)
            ends = [(low + LOWEST, high + HIGHEST) for low, high in cubes]
            ranges = [(head + low, head + high) for head in heads for low, high in ends]
        return dict(self._read(dataset.number, "tier", ranges)).values()

    @override
    def synapses_of(self, path: str, neuron: int, box: BoundingBox | None = None) -> Columns:
        def question(dataset: Dataset) -> Columns:
            return self._sorted(dataset, self._links(dataset, neuron, box), box)

        return self._ask(path, question) or empty("synapse")

    def _links(self, dataset: Dataset, neuron: int, box: BoundingBox | None) -> list[bytes]:
        owner = neuron.to_bytes(8, "big")
        cubes = dataset.curve.keys(box, FEW_CUBES) if box else [(LOWEST, HIGHEST)]
        ranges = [(owner + low + LOWEST, owner + high + HIGHEST) for low, high in cubes]
        found = dict(self._read(dataset.number, "link", ranges))
        return [blob for key, blob in found.items() if key[:8] == owner]

    def _sorted(self, dataset: Dataset, blobs: Iterable[bytes], box: BoundingBox | None) -> Columns:
        layout = dataset.layouts["synapse"]
        rows, words = layout.unpack(blobs)
        if box is not None:
            rows = rows[layout.inside(rows, box)]
        return layout.columns(rows.take(rows["__id"].argsort()), words)

    @override
    def partners(self, path: str, neuron: int) -> tuple[Ids, Ids]:
        def question(dataset: Dataset) -> tuple[Ids, Ids]:
            rows = dataset.layouts["synapse"].numbers(self._links(dataset, neuron, None))
            pre, post, owner = rows["n1"], rows["n2"], np.uint64(neuron)
            return post[pre == owner], pre[post == owner]

        none = np.empty(0, np.uint64)
        return self._ask(path, question) or (none, none)

    @override
    def scan(
        self, path: str, box: BoundingBox | None = None, table: str = "synapse"
    ) -> Iterator[Columns]:
        if box is not None:
            yield self.synapses_in(path, box)
        elif dataset := self._look_up(path):
            try:
                for rows, words in self._all(dataset, table):
                    yield dataset.layouts[table].columns(rows, words)
            except Gone as error:
                raise DatabaseError(f"{path} was loaded anew while it was read.") from error

    def _all(self, dataset: Dataset, table: str) -> Iterator[tuple[Rows, list[str]]]:
        """Give all rows of a table, sorted by id, each once."""
        packs, last = self._scan(dataset.number, table), -1
        while some := [blob for _, blob in islice(packs, SEVERAL)]:
            rows, words = dataset.layouts[table].unpack(some)
            # A pack may have been divided since its first rows were read.
            rows = rows[rows[KEYS[table]] > last] if last >= 0 else rows
            if len(rows):
                last = int(rows[KEYS[table]][-1])
                yield rows, words
