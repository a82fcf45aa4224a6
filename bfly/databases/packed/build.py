"""Packing of a whole dataset in bounded memory."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.databases.lod import TIER, tiers_of
from bfly.databases.packed.curve import Curve
from bfly.databases.packed.external_sort import RowFile, bounds_of, sort
from bfly.databases.packed.keys import HEADS, headed, packs
from bfly.tables.columns import KEYS, POINT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from bfly.databases.packed.external_sort import Key, NewFile, Spool
    from bfly.databases.packed.keys import Pack
    from bfly.databases.packed.rows import Rows
    from bfly.databases.store import Progress

    Fill = Callable[[str, Iterable[Pack]], None]

__all__ = ["Build"]


class Build:
    """Chain of external sorts, one per order, that packs the rows of each order.

    Sorting is stable. Rows sorted by id and then by position are sorted by id within a position.
    Sorted by neuron after that, they are sorted by position within a neuron.

    Parameters
    ----------
    synapses, neurons : Spool
        The rows; the last row with an id replaces earlier ones.
    fill : callable
        Takes an order and its packs, with ascending keys.
    new_file : callable
        As for `external_sort.RowFile`.

    Attributes
    ----------
    curve : Curve
        Curve that fits the synapses.
    counts : dict
        Number of rows packed by id, per table.
    """

    def __init__(self, synapses: Spool, neurons: Spool, fill: Fill, new_file: NewFile) -> None:
        self._synapses, self._neurons = synapses, neurons
        self._fill, self._new_file = fill, new_file
        self._sample = synapses.sampled()
        self.curve = Curve.fit([self._sample[name] for name in POINT])
        self.counts = dict.fromkeys(KEYS, 0)
        self._rows_packed = 0
        self._progress: Progress | None = None

    def run(self, complete: bool, progress: Progress | None = None) -> None:
        """Pack everything.

        Parameters
        ----------
        complete : bool
            Add neurons named only by synapses, at the positions that `unplaced` defines.
        progress : callable, optional
            As for `PackStore.replace`.
        """
        self._progress = progress
        if complete and self._synapses.layout.wide:
            self._neurons.layout = replace(self._neurons.layout, wide=True)
        from_synapses = RowFile(self._new_file, self._neurons.layout.dtype)
        self._tiers = RowFile(self._new_file, self._headed)
        last = None
        for links in self._by_neuron(self._by_place(self._by_id())):
            first = _first(links)
            # The row written last wins, and a neuron with very many links comes in parts.
            if last is not None and first["head"][0] == last["head"]:
                first = first[int(_rank(first[0]) > _rank(last)) :]
            if complete and len(first):
                from_synapses.append(self._as_neurons(first))
                last = first[-1]
        for chunks in (self._neurons_by_id(from_synapses), self._by_tier()):
            for _ in chunks:
                pass

    @property
    def _headed(self) -> np.dtype[np.void]:
        return np.dtype([("head", "<u8"), ("row", self._synapses.layout.dtype)])

    def _by_id(self) -> Iterator[Rows]:
        spool = self._synapses
        bounds = bounds_of(self._sample["__id"], len(spool))
        rows = sort(
            spool.chunks(), _field("__id"), bounds, spool.layout.dtype, self._new_file, True
        )
        return self._packed("synapse", spool, rows)

    def _by_place(self, chunks: Iterator[Rows]) -> Iterator[Rows]:
        def numbers(rows: Any) -> NDArray[np.uint64]:
            return self.curve.numbers(*(rows[name] for name in POINT))

        spool = self._synapses
        bounds = bounds_of(numbers(self._sample), len(spool))
        rows = sort(chunks, numbers, bounds, spool.layout.dtype, self._new_file)
        for placed in self._packed("place", spool, rows):
            self._tiers.append(self._with_heads("tier", placed))
            yield placed

    def _by_tier(self) -> Iterator[Rows]:
        tiers = tiers_of(self._sample["__id"])
        bounds = bounds_of(tiers[tiers > 0], len(self._tiers))
        rows = sort(self._tiers.chunks(), _field("head"), bounds, self._headed, self._new_file)
        return self._packed("tier", self._synapses, rows)

    def _by_neuron(self, chunks: Iterator[Rows]) -> Iterator[Rows]:
        sample = np.append(self._sample["n1"], self._sample["n2"])
        bounds = bounds_of(sample, 2 * len(self._synapses))
        links = (self._with_heads("link", rows) for rows in chunks)
        rows = sort(links, _field("head"), bounds, self._headed, self._new_file)
        return self._packed("link", self._synapses, rows)

    def _with_heads(self, kind: str, rows: Rows) -> Rows:
        rows, heads = headed(kind, rows)
        result = np.empty(len(rows), self._headed)
        result["row"], result["head"] = rows, heads
        return result

    def _neurons_by_id(self, from_synapses: RowFile) -> Iterator[Rows]:
        spool = self._neurons
        sample = np.concatenate([self._sample["n1"], self._sample["n2"], spool.sampled()["neuron"]])
        bounds = bounds_of(sample, len(from_synapses) + len(spool))
        chunks = chain(from_synapses.chunks(), spool.chunks())
        rows = sort(chunks, _field("neuron"), bounds, spool.layout.dtype, self._new_file, True)
        return self._packed("neuron", spool, rows)

    def _packed(self, kind: str, spool: Spool, chunks: Iterable[Rows]) -> Iterator[Rows]:
        """Pack sorted rows and yield them unchanged."""
        last = None
        for rows in chunks:
            plain, heads = (rows["row"], rows["head"]) if HEADS[kind] else (rows, None)
            head = 0 if heads is None else int(heads[0])
            pieces = packs(
                kind, self.curve, spool.layout, spool.texts, plain, heads, before=last == head
            )
            self._fill(kind, pieces)
            last = 0 if heads is None else int(heads[-1])
            if kind in self.counts:
                self.counts[kind] += len(rows)
            self._tell(len(rows))
            yield rows

    def _tell(self, packed: int) -> None:
        """Report progress. Rows are packed by id, by position, by two neurons, and some by tier."""
        self._rows_packed += packed
        total = (4 + 1 / TIER) * len(self._synapses) + len(self._neurons)
        if self._progress:
            self._progress(min(self._rows_packed / max(total, 1), 1))

    def _as_neurons(self, links: Rows) -> Rows:
        columns = {name: links["row"][name] for name in POINT} | {"neuron": links["head"]}
        return self._neurons.layout.filled(columns, len(links), self._neurons.texts)


def _field(name: str) -> Key:
    return lambda rows: np.ascontiguousarray(rows[name])


def _first(links: Rows) -> Rows:
    """Return, from the sorted links of each neuron, the one of the lowest `_rank`."""
    owners = np.ascontiguousarray(links["head"])
    ids = np.ascontiguousarray(links["row"]["__id"])
    starts = np.append(0, np.flatnonzero(owners[1:] != owners[:-1]) + 1)
    sizes = np.diff(starts, append=len(ids))
    post = links["row"]["n2"] == owners
    wanted = post | ~np.repeat(np.logical_or.reduceat(post, starts), sizes)
    lowest = np.minimum.reduceat(np.where(wanted, ids, np.uint64(2**64 - 1)), starts)
    first: Rows = links[wanted & (ids == np.repeat(lowest, sizes))]
    return first


def _rank(link: np.void) -> tuple[bool, int]:
    """Return the rank of a link for its neuron's position: postsynaptic first, then by id."""
    row = link["row"]
    return bool(row["n2"] != link["head"]), int(row["__id"])
