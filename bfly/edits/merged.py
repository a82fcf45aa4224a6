"""Neurons and synapses as edits make them: with ids of segments for those of supervoxels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fastremap
import numpy as np
from typing_extensions import override

from bfly.databases.columns import among, concatenated, empty, latest
from bfly.databases.features import Features

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bfly.databases.columns import Columns, Ranges
    from bfly.databases.reader import Ids
    from bfly.edits.state import State
    from bfly.geometry import BoundingBox

__all__ = ["Merged"]

NEURON, SYNAPSE = "neuron", "synapse"


class Merged(Features):
    """What an engine has, with segments for neurons.

    A neuron of several supervoxels has the row of the one that it is named after, and if that has
    none, of the lowest that has one.

    Parameters
    ----------
    engine : Features
        Knows supervoxels.
    state : State
        What became of them.
    """

    def __init__(self, engine: Features, state: State) -> None:
        self.RUNTIME = engine.RUNTIME
        self._engine, self._state = engine, state

    @override
    def dataset(self, path: str) -> str:
        return self._engine.dataset(path)

    @override
    def state(self, path: str) -> str:
        return f"{self._engine.state(path)}/{self._state.position}"

    @override
    def count(self, table: str, path: str) -> int:
        return self._engine.count(table, path)

    @override
    def rows(self, table: str, path: str, ids: Ids) -> Columns:
        if table != NEURON:
            return self._named(self._engine.rows(table, path, ids))
        ids = ids[self._state.is_name(ids)]
        edited = self._state.knows(ids) | np.isin(ids, self._state.named(ids)[1])
        parts = [self._state.members(number) for number in ids[edited].tolist()]
        wanted = fastremap.unique(np.concatenate([ids[~edited], *parts]))
        found = self._engine.rows(table, path, wanted)
        of = self._state.segments(found[NEURON])
        order = np.lexsort((found[NEURON], found[NEURON] != of, of))
        first = order[np.append(True, np.diff(of[order]) > 0)[: len(of)]]
        places = of[first].searchsorted(ids)
        hit = of[first].take(places, mode="clip") == ids if len(first) else places < 0
        rows = {name: column[first[places[hit]]] for name, column in found.items()}
        return {**rows, NEURON: ids[hit]}

    @override
    def ids(self, table: str, path: str) -> Ids:
        ids = self._engine.ids(table, path)
        return fastremap.unique(self._state.segments(ids)) if table == NEURON else ids

    @override
    def ids_in(self, path: str, box: BoundingBox) -> Ids:
        return self._engine.ids_in(path, box)

    @override
    def synapses_in(self, path: str, box: BoundingBox) -> Columns:
        return self._named(self._engine.synapses_in(path, box))

    @override
    def synapses_of(self, path: str, neuron: int, box: BoundingBox | None = None) -> Columns:
        if not self._state.is_name(np.array([neuron], np.uint64))[0]:
            return empty(SYNAPSE)
        members = self._state.members(neuron).tolist()
        found = [self._engine.synapses_of(path, member, box) for member in members]
        return self._named(latest(SYNAPSE, concatenated(SYNAPSE, found)))

    @override
    def scan(
        self,
        path: str,
        box: BoundingBox | None = None,
        neuron: int | None = None,
        table: str = SYNAPSE,
    ) -> Iterator[Columns]:
        if table != SYNAPSE:
            return super().scan(path, box, neuron, table)
        if neuron is not None:
            return self._scan_of(path, box, neuron)
        return map(self._named, self._engine.scan(path, box))

    def _scan_of(self, path: str, box: BoundingBox | None, neuron: int) -> Iterator[Columns]:
        if not self._state.is_name(np.array([neuron], np.uint64))[0]:
            yield self._engine.rows(SYNAPSE, path, np.empty(0, np.uint64))
            return
        members = self._state.members(neuron)
        for number, member in enumerate(members.tolist()):
            for batch in self._engine.scan(path, box, member):
                # A synapse between two members has come with the first of them.
                new = ~(among(batch["n1"], members[:number]) | among(batch["n2"], members[:number]))
                yield self._named({name: column[new] for name, column in batch.items()})

    @override
    def thinned(self, path: str, first: int, last: int, box: BoundingBox) -> Columns:
        return self._named(self._engine.thinned(path, first, last, box))

    @override
    def ranges(self, path: str) -> Ranges:
        return self._engine.ranges(path)

    def _named(self, synapses: Columns) -> Columns:
        """Give synapses with the segments before and after."""
        names = {side: self._state.segments(synapses[side]) for side in ("n1", "n2")}
        return {**synapses, **names}
