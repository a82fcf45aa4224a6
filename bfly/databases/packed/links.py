"""Queries on the synapses of several neurons at once, in one statement of the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from typing_extensions import override

from bfly.databases.packed.blobs import Gone
from bfly.databases.packed.reads import HIGHEST, LOWEST, PackedReads
from bfly.errors import DatabaseError
from bfly.tables.columns import among, empty

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bfly.databases.packed.datasets import PackedDataset
    from bfly.databases.packed.rows import Rows
    from bfly.databases.reader import Ids
    from bfly.geometry import BoundingBox
    from bfly.tables.columns import Columns

__all__ = ["LinkReads"]

SHARE = 8 << 20
"""Bytes of links of several neurons that are read at once in a scan."""


class LinkReads(PackedReads):
    """Queries on the supervoxels of a segment; same parameters as `Database`."""

    @override
    def synapses_of_any(self, path: str, neurons: Ids, box: BoundingBox | None = None) -> Columns:
        if len(neurons) == 1:
            return self.synapses_of(path, int(neurons[0]), box)

        def question(dataset: PackedDataset) -> Columns:
            layout = dataset.layouts["synapse"]
            return layout.columns(*self._links_of(dataset, neurons, box))

        return self._ask(path, question) or empty("synapse")

    def _links_of(
        self, dataset: PackedDataset, neurons: Ids, box: BoundingBox | None
    ) -> tuple[Rows, list[str]]:
        """Return the synapses of several neurons, in a box if given, each once, sorted by id."""
        owners = _owners(neurons)
        packs = self._read(dataset.number, "link", _all_ranges(owners))
        wanted, layout = set(owners), dataset.layouts["synapse"]
        rows, words = layout.unpack(blob for key, blob in packs if key[:8] in wanted)
        if box is not None:
            rows = rows[layout.inside(rows, box)]
        return rows.take(np.unique(rows["__id"], return_index=True)[1]), words

    @override
    def scan_of_any(
        self, path: str, neurons: Ids, box: BoundingBox | None = None
    ) -> Iterator[Columns]:
        if (dataset := self._look_up(path)) is None:
            return
        layout = dataset.layouts["synapse"]
        yield layout.columns(np.empty(0, layout.dtype), [])
        try:
            for start, stop in self._shares(dataset, neurons):
                for rows, words in self._share(dataset, neurons[start:stop], box):
                    # A synapse of two of the neurons came with the first of them.
                    known = [among(rows[side], neurons[:start]) for side in ("n1", "n2")]
                    yield layout.columns(rows[~(known[0] | known[1])], words)
        except Gone as error:
            raise DatabaseError(f"{path} was reloaded while it was read.") from error

    def _share(
        self, dataset: PackedDataset, neurons: Ids, box: BoundingBox | None
    ) -> Iterator[tuple[Rows, list[str]]]:
        """Yield the synapses of some neurons of a scan: of one, which may have many, in batches."""
        if len(neurons) > 1:
            yield self._links_of(dataset, neurons, box)
            return
        layout = dataset.layouts["synapse"]
        for rows, words in self._all_links(dataset, int(neurons[0]), box):
            yield rows if box is None else rows[layout.inside(rows, box)], words

    def _shares(self, dataset: PackedDataset, neurons: Ids) -> Iterator[tuple[int, int]]:
        """Yield the first and the last place of neurons whose links fill some memory together."""
        owners = _owners(neurons)
        places = {owner: place for place, owner in enumerate(owners)}
        sizes = np.zeros(len(neurons), np.int64)
        for key, size in self._lengths(dataset.number, "link", _all_ranges(owners)):
            if (place := places.get(key[:8])) is not None:
                sizes[place] += size
        there = np.flatnonzero(sizes)
        start = filled = 0
        for place, size in zip(there.tolist(), sizes[there].tolist(), strict=True):
            if filled and filled + size > SHARE:
                yield start, place
                start, filled = place, 0
            filled += size
        if filled:
            yield start, len(neurons)


def _owners(neurons: Ids) -> list[bytes]:
    """Return neurons as the first integers of the keys of their links."""
    return [neuron.to_bytes(8, "big") for neuron in neurons.tolist()]


def _all_ranges(owners: list[bytes]) -> list[tuple[bytes, bytes]]:
    """Return the ranges of the keys of all links of some neurons."""
    return [(owner + 2 * LOWEST, owner + 2 * HIGHEST) for owner in owners]
