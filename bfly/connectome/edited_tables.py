"""Neurons and synapses with edits applied: ids of segments replace those of supervoxels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fastremap
import numpy as np
from typing_extensions import override

from bfly.databases.features import Features
from bfly.tables.columns import among, concatenated, empty, latest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bfly.databases.reader import Ids
    from bfly.edits.state import EditState
    from bfly.geometry import BoundingBox
    from bfly.tables.columns import Columns, Ranges

__all__ = ["Merged"]

NEURON, SYNAPSE = "neuron", "synapse"


class Merged(Features):
    """The tables of an engine, with segments as neurons.

    A neuron of several supervoxels has the row of the supervoxel with its name. If that has no
    row, it has that of the lowest supervoxel with one.

    Parameters
    ----------
    engine : Features
        Tables with supervoxels as neurons.
    channel : str
        Path of the edited channel.
    state : EditState
        State of its edits.
    """

    def __init__(self, engine: Features, channel: str, state: EditState) -> None:
        self.RUNTIME = engine.RUNTIME
        self._engine, self._channel, self._state = engine, channel, state

    @override
    def dataset(self, path: str) -> str:
        return self._engine.dataset(path)

    @override
    def state(self, path: str) -> str:
        return f"{self._engine.state(path)}/{self._state.key} of {self._channel}"

    @override
    def count(self, table: str, path: str) -> int:
        if table != NEURON:
            return self._engine.count(table, path)
        ids = self._engine.ids(table, path)
        supervoxels, segments = self._state.table()
        there = among(supervoxels, ids)
        names = fastremap.unique(segments[there])
        # A name may be the id of a neuron that no operation names: then both are one neuron.
        same = among(names, ids) & ~self._state.knows(names)
        return int(len(ids) - there.sum() + len(names) - same.sum())

    @override
    def has_rows(self, table: str, path: str) -> bool:
        return self._engine.has_rows(table, path)

    @override
    def rows(self, table: str, path: str, ids: Ids) -> Columns:
        if table != NEURON:
            return self._named(self._engine.rows(table, path, ids))
        ids = ids[self._state.is_name(ids)]
        edited = self._state.knows(ids) | np.isin(ids, self._state.named(ids)[1])
        parts = [self._state.members(number) for number in ids[edited].tolist()]
        wanted = fastremap.unique(np.concatenate([ids[~edited], *parts]))
        stored = self._engine.rows(table, path, wanted)
        segments = self._state.segments(stored[NEURON])
        heads = _heads(stored[NEURON], segments)
        places = segments[heads].searchsorted(ids)
        hit = segments[heads].take(places, mode="clip") == ids if len(heads) else places < 0
        rows = {name: column[heads[places[hit]]] for name, column in stored.items()}
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
        synapses = [self._engine.synapses_of(path, member, box) for member in members]
        return self._named(latest(SYNAPSE, concatenated(SYNAPSE, synapses)))

    @override
    def scan(
        self,
        path: str,
        box: BoundingBox | None = None,
        neuron: int | None = None,
        table: str = SYNAPSE,
    ) -> Iterator[Columns]:
        if table != SYNAPSE:
            return self._scan_neurons(path)
        if neuron is not None:
            return self._scan_of(path, box, neuron)
        return map(self._named, self._engine.scan(path, box))

    def _scan_neurons(self, path: str) -> Iterator[Columns]:
        ids = self._engine.ids(NEURON, path)
        names = self._state.segments(ids)
        heads = np.sort(_heads(ids, names))
        ids, names = ids[heads], names[heads]
        for batch in self._engine.scan(path, table=NEURON):
            is_head = among(batch[NEURON], ids)
            rows = {name: column[is_head] for name, column in batch.items()}
            yield {**rows, NEURON: names[ids.searchsorted(rows[NEURON])]}

    def _scan_of(self, path: str, box: BoundingBox | None, neuron: int) -> Iterator[Columns]:
        if not self._state.is_name(np.array([neuron], np.uint64))[0]:
            yield self._engine.rows(SYNAPSE, path, np.empty(0, np.uint64))
            return
        members = self._state.members(neuron)
        for number, member in enumerate(members.tolist()):
            for batch in self._engine.scan(path, box, member):
                # A synapse between two members was yielded with the first of them.
                new = ~(among(batch["n1"], members[:number]) | among(batch["n2"], members[:number]))
                yield self._named({name: column[new] for name, column in batch.items()})

    @override
    def thinned(self, path: str, first: int, last: int, box: BoundingBox) -> Columns:
        return self._named(self._engine.thinned(path, first, last, box))

    @override
    def ranges(self, path: str) -> Ranges:
        return self._engine.ranges(path)

    def _named(self, synapses: Columns) -> Columns:
        """Return synapses with presynaptic and postsynaptic segments."""
        names = {side: self._state.segments(synapses[side]) for side in ("n1", "n2")}
        return {**synapses, **names}


def _heads(neurons: Ids, segments: Ids) -> NDArray[np.int64]:
    """Return, sorted by segment, the index of the neuron whose row each segment has."""
    order = np.lexsort((neurons, neurons != segments, segments))
    ordered = segments[order]
    heads: NDArray[np.int64] = order[np.append(True, ordered[1:] != ordered[:-1])[: len(order)]]
    return heads
