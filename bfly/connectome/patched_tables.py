"""Synapses after patches: the supervoxel at the position of a synapse, where a patch changed it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from typing_extensions import override

from bfly.databases.features import Features
from bfly.tables.columns import ENDS, IDS, POINT, among, concatenated, latest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bfly.databases.reader import Ids
    from bfly.edits.patches import Patches
    from bfly.geometry import BoundingBox, Zyx
    from bfly.tables.columns import Columns, Ranges

__all__ = ["Patched"]

SYNAPSE = "synapse"

SIDES = IDS[SYNAPSE][1:]


class Patched(Features):
    """The tables of an engine, with the supervoxels of synapses after patches.

    A side of a synapse gets the supervoxel at its position, if a patch took that voxel from the
    supervoxel that the table names. The position is that of the side, or that of the synapse if
    the table has no other. Rows of neurons stay as they are.

    Parameters
    ----------
    engine : Features
        Tables with supervoxels as neurons.
    patches : Patches
        The patches.
    origin : tuple of int
        The channel's first voxel in the dataset (z, y, x).
    """

    def __init__(self, engine: Features, patches: Patches, origin: Zyx) -> None:
        self.RUNTIME = engine.RUNTIME
        self._engine, self._patches, self._origin = engine, patches, np.array(origin)
        self._old = np.unique(patches.old)

    @override
    def dataset(self, path: str) -> str:
        return self._engine.dataset(path)

    @override
    def state(self, path: str) -> str:
        return f"{self._engine.state(path)}/{self._patches.digest} at {self._origin}"

    @override
    def count(self, table: str, path: str) -> int:
        return self._engine.count(table, path)

    @override
    def has_rows(self, table: str, path: str) -> bool:
        return self._engine.has_rows(table, path)

    @override
    def rows(self, table: str, path: str, ids: Ids) -> Columns:
        rows = self._engine.rows(table, path, ids)
        return self._moved(rows) if table == SYNAPSE else rows

    @override
    def ids(self, table: str, path: str) -> Ids:
        return self._engine.ids(table, path)

    @override
    def ids_in(self, path: str, box: BoundingBox) -> Ids:
        return self._engine.ids_in(path, box)

    @override
    def synapses_in(self, path: str, box: BoundingBox) -> Columns:
        return self._moved(self._engine.synapses_in(path, box))

    @override
    def synapses_of(self, path: str, neuron: int, box: BoundingBox | None = None) -> Columns:
        parts = [self._engine.synapses_of(path, one, box) for one in self._sources(neuron)]
        return _of(self._moved(latest(SYNAPSE, concatenated(SYNAPSE, parts))), neuron)

    @override
    def scan(
        self,
        path: str,
        box: BoundingBox | None = None,
        neuron: int | None = None,
        table: str = SYNAPSE,
    ) -> Iterator[Columns]:
        if table != SYNAPSE:
            return self._engine.scan(path, box, table=table)
        if neuron is not None:
            return self._scan_of(path, box, neuron)
        return map(self._moved, self._engine.scan(path, box))

    def _scan_of(self, path: str, box: BoundingBox | None, neuron: int) -> Iterator[Columns]:
        sources = self._sources(neuron)
        for number, source in enumerate(sources):
            for batch in self._engine.scan(path, box, source):
                # A synapse between two sources was yielded with the first of them.
                before = np.array(sources[:number], np.uint64)
                new = ~(np.isin(batch["n1"], before) | np.isin(batch["n2"], before))
                yield _of(self._moved({name: each[new] for name, each in batch.items()}), neuron)

    @override
    def thinned(self, path: str, first: int, last: int, box: BoundingBox) -> Columns:
        return self._moved(self._engine.thinned(path, first, last, box))

    @override
    def ranges(self, path: str) -> Ranges:
        return self._engine.ranges(path)

    def _sources(self, neuron: int) -> list[int]:
        """Return the supervoxels of the table whose synapses a supervoxel may have now."""
        patches, own = self._patches, np.array([neuron], np.uint64)
        found = np.union1d(own, patches.origins(own))
        sources: list[int] = found.tolist()
        # Synapses whose side is on the background in the table may be on what was painted there.
        if (np.isin(patches.new, found) & (patches.old == 0)).any() and sources[0]:
            sources.insert(0, 0)
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


def _of(synapses: Columns, neuron: int) -> Columns:
    hit = (synapses["n1"] == np.uint64(neuron)) | (synapses["n2"] == np.uint64(neuron))
    return {name: column[hit] for name, column in synapses.items()}
