"""Synapses after patches: the supervoxel at the position of a synapse, where a patch changed it."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from typing_extensions import override

from bfly.databases.features import Features
from bfly.tables.columns import ENDS, IDS, POINT, among, concatenated, filled, latest, unplaced

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bfly.databases.reader import Ids
    from bfly.edits.patches import Patches
    from bfly.geometry import BoundingBox, Zyx
    from bfly.storage.lru_cache import LruCache
    from bfly.tables.columns import Columns, Ranges

__all__ = ["Patched"]

NEURON, SYNAPSE = "neuron", "synapse"

SIDES = IDS[SYNAPSE][1:]


class Patched(Features):
    """The tables of an engine, with the supervoxels of synapses after patches.

    A side of a synapse gets the supervoxel at its position, if a patch took that voxel from the
    supervoxel that the table names. The position is that of the side, or that of the synapse if
    the table has no other. Rows of neurons stay as they are. A supervoxel that got synapses has
    a row, too, at the place of one of them.

    Parameters
    ----------
    engine : Features
        Tables with supervoxels as neurons.
    patches : Patches
        The patches.
    origin : tuple of int
        The channel's first voxel in the dataset (z, y, x).
    cache : LruCache
        Keeps the rows of supervoxels that patches made.
    """

    def __init__(self, engine: Features, patches: Patches, origin: Zyx, cache: LruCache) -> None:
        self.RUNTIME = engine.RUNTIME
        self._engine, self._patches, self._origin = engine, patches, np.array(origin)
        self._old = np.unique(patches.old)
        self._cache = cache

    @override
    def dataset(self, path: str) -> str:
        return self._engine.dataset(path)

    @override
    def state(self, path: str) -> str:
        return f"{self._engine.state(path)}/{self._patches.digest} at {self._origin}"

    @override
    def count(self, table: str, path: str) -> int:
        more = len(self._added(path)[NEURON]) if table == NEURON else 0
        return self._engine.count(table, path) + more

    @override
    def has_rows(self, table: str, path: str) -> bool:
        return self._engine.has_rows(table, path)

    @override
    def rows(self, table: str, path: str, ids: Ids) -> Columns:
        rows = self._engine.rows(table, path, ids)
        if table == SYNAPSE:
            return self._moved(rows)
        added = self._added(path)
        hit = np.isin(added[NEURON], ids)
        if not hit.any():
            return rows
        both = {name: np.concatenate([rows[name], added[name][hit]]) for name in rows}
        order = np.argsort(both[NEURON])
        there = ids[among(ids, both[NEURON][order])]
        places = order[np.searchsorted(both[NEURON], there, sorter=order)]
        return {name: column[places] for name, column in both.items()}

    @override
    def ids(self, table: str, path: str) -> Ids:
        ids = self._engine.ids(table, path)
        return np.union1d(ids, self._added(path)[NEURON]) if table == NEURON else ids

    @override
    def ids_in(self, path: str, box: BoundingBox) -> Ids:
        return self._engine.ids_in(path, box)

    @override
    def synapses_in(self, path: str, box: BoundingBox) -> Columns:
        return self._moved(self._engine.synapses_in(path, box))

    @override
    def synapses_of(self, path: str, neuron: int, box: BoundingBox | None = None) -> Columns:
        return self.synapses_of_any(path, np.array([neuron], np.uint64), box)

    @override
    def synapses_of_any(self, path: str, neurons: Ids, box: BoundingBox | None = None) -> Columns:
        found = self._engine.synapses_of_any(path, self._sources(neurons), box)
        return _of(self._moved(found), neurons)

    @override
    def scan(
        self,
        path: str,
        box: BoundingBox | None = None,
        neuron: int | None = None,
        table: str = SYNAPSE,
    ) -> Iterator[Columns]:
        if table != SYNAPSE:
            return chain(self._engine.scan(path, box, table=table), [self._added(path)])
        if neuron is not None:
            return self.scan_of_any(path, np.array([neuron], np.uint64), box)
        return map(self._moved, self._engine.scan(path, box))

    @override
    def scan_of_any(
        self, path: str, neurons: Ids, box: BoundingBox | None = None
    ) -> Iterator[Columns]:
        for batch in self._engine.scan_of_any(path, self._sources(neurons), box):
            yield _of(self._moved(batch), neurons)

    @override
    def thinned(self, path: str, first: int, last: int, box: BoundingBox) -> Columns:
        return self._moved(self._engine.thinned(path, first, last, box))

    @override
    def ranges(self, path: str) -> Ranges:
        return self._engine.ranges(path)

    def _added(self, path: str) -> Columns:
        """Return the rows of the supervoxels that patches made and synapses name."""
        key = f"patched-neurons:{path}:{self.state(path)}"
        added: Columns = self._cache.get(key)
        if not added:
            synapses = latest(SYNAPSE, concatenated(SYNAPSE, self._synapses_of_made(path)))
            rows = unplaced(synapses, self._engine.ids(NEURON, path))
            made = self._patches.made(rows[NEURON])
            rows = {name: column[made] for name, column in rows.items()}
            added = filled(rows, self._engine.rows(NEURON, path, np.empty(0, np.uint64)))
            self._cache.set(key, added)
        return added

    def _synapses_of_made(self, path: str) -> Iterator[Columns]:
        """Yield the synapses that name a supervoxel that a patch made."""
        for batch in self._engine.scan_of_any(path, self._old):
            moved = self._moved(batch)
            made = self._patches.made(moved["n1"]) | self._patches.made(moved["n2"])
            yield {name: column[made] for name, column in moved.items()}

    def _sources(self, neurons: Ids) -> Ids:
        """Return the supervoxels of the table whose synapses some supervoxels may have now."""
        patches = self._patches
        sources = np.union1d(neurons, patches.origins(neurons))
        # What was painted on the background may be where that of another was erased before.
        if (np.isin(patches.new, sources) & (patches.old == 0)).any():
            erased = patches.origins(patches.old[patches.new == 0])
            sources = np.unique(np.concatenate([np.zeros(1, np.uint64), erased, sources]))
        return sources

    def _moved(self, synapses: Columns) -> Columns:
        """Return synapses with the supervoxels at their positions."""
        moved, centres = dict(synapses), _places(synapses, POINT)
        for side, names in zip(SIDES, ENDS, strict=True):
            places = centres
            if all(name in synapses and synapses[name].dtype.kind in "iuf" for name in names):
                own = _places(synapses, names)
                places = np.where(np.isnan(own).any(axis=1, keepdims=True), centres, own)
            some = np.flatnonzero(among(synapses[side], self._old))
            voxels = np.floor(places[some]).astype(np.int64) - self._origin
            moved[side] = synapses[side].copy()
            moved[side][some] = self._patches.at(voxels, synapses[side][some])
        return moved


def _places(synapses: Columns, names: tuple[str, ...]) -> NDArray[np.float64]:
    """Return three columns (z, y, x); shape (n, 3)."""
    return np.stack([synapses[name].astype(np.float64) for name in names], axis=1)


def _of(synapses: Columns, neurons: Ids) -> Columns:
    hit = among(synapses["n1"], neurons) | among(synapses["n2"], neurons)
    return {name: column[hit] for name, column in synapses.items()}
