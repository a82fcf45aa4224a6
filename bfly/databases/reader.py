"""Read access to the tables of synapses and neurons, as columns of numbers.

This is one half of the contract of a database. `bfly.databases.store` is the other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from bfly.tables.columns import IDS, KEYS, among, concatenated, latest, partners_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bfly.geometry import BoundingBox
    from bfly.tables.columns import Columns, Ranges

    Ids = NDArray[np.uint64]
    Counts = NDArray[np.int64]

__all__ = ["Reader"]

A_BATCH = 100_000
"""Rows per batch of `Reader.scan`."""


class Reader(ABC):
    """Read access to one table of synapses and one table of neurons per dataset.

    All methods but `dataset` take the path of a dataset. Any thread may call them.
    """

    @abstractmethod
    def dataset(self, path: str) -> str:
        """Return the dataset of a channel's path; a dataset's path maps to itself."""

    @abstractmethod
    def state(self, path: str) -> str:
        """Return a text that differs after every change of a dataset."""

    @abstractmethod
    def rows(self, table: str, path: str, ids: Ids) -> Columns:
        """Return the rows with the given ids, in that order, without missing ids."""

    @abstractmethod
    def ids(self, table: str, path: str) -> Ids:
        """Return all ids of a table, sorted; empty for an unknown dataset."""

    @abstractmethod
    def synapses_in(self, path: str, box: BoundingBox) -> Columns:
        """Return the synapses in a box (voxels of mip 0), sorted by id."""

    def ids_in(self, path: str, box: BoundingBox) -> Ids:
        """Return the ids of the synapses in a box (voxels of mip 0), sorted."""
        return self.synapses_in(path, box)[KEYS["synapse"]]

    @abstractmethod
    def synapses_of(self, path: str, neuron: int, box: BoundingBox | None = None) -> Columns:
        """Return the synapses of a neuron on either side, in a box if given, sorted by id."""

    def synapses_of_any(self, path: str, neurons: Ids, box: BoundingBox | None = None) -> Columns:
        """Return the synapses of any of some neurons, as `synapses_of`, each once.

        Parameters
        ----------
        path : str
            The dataset.
        neurons : numpy.ndarray
            uint64, sorted.
        box : BoundingBox, optional
            In voxels of mip 0.
        """
        found = [self.synapses_of(path, neuron, box) for neuron in neurons.tolist()]
        return latest("synapse", concatenated("synapse", found))

    @abstractmethod
    def thinned(self, path: str, first: int, last: int, box: BoundingBox) -> Columns:
        """Return the synapses of some tiers (`bfly.databases.lod`) in a box, in any order.

        Parameters
        ----------
        path : str
            The dataset.
        first, last : int
            The lowest and the highest tier. Run time must be proportional to the synapses
            returned, not to all synapses in the box.
        box : BoundingBox
            In voxels of mip 0.
        """

    @abstractmethod
    def ranges(self, path: str) -> Ranges:
        """Return the range of each synapse column; it may still cover replaced rows."""

    def count(self, table: str, path: str) -> int:
        """Return the number of rows of a table."""
        return len(self.ids(table, path))

    def has_rows(self, table: str, path: str) -> bool:
        """Return whether a table has any rows."""
        return self.count(table, path) > 0

    def partners(self, path: str, neuron: int) -> tuple[Ids, Ids]:
        """Return the postsynaptic, then the presynaptic partners of a neuron, one per synapse."""
        synapses = self.synapses_of(path, neuron)
        return partners_of(synapses["n1"], synapses["n2"], neuron)

    def degrees(self, path: str, neurons: Ids) -> tuple[Counts, Counts]:
        """Count the synapses where each neuron (ids sorted) is pre-, and where postsynaptic."""
        degrees = np.zeros((2, len(neurons)), np.int64)
        for batch in self.scan(path):
            for degree, name in zip(degrees, IDS["synapse"][1:], strict=True):
                ids, counts = np.unique(batch[name], return_counts=True)
                hit = among(ids, neurons)
                degree[np.searchsorted(neurons, ids[hit])] += counts[hit]
        return degrees[0], degrees[1]

    def scan(
        self,
        path: str,
        box: BoundingBox | None = None,
        neuron: int | None = None,
        table: str = "synapse",
    ) -> Iterator[Columns]:
        """Yield all rows of a table, or the synapses in a box, of a neuron, or both.

        Yields
        ------
        Columns
            Batches of bounded size, in any order, each row once, all with the same columns.
            The first batch may have no rows. A row written during the scan may be missing, or
            come in its old and its new state. An unknown dataset may yield no batch.
        """
        if neuron is not None:
            ids = self.synapses_of(path, neuron, box)[KEYS[table]]
        else:
            ids = self.ids(table, path) if box is None else self.ids_in(path, box)
        yield from self._batches(path, table, ids)

    def scan_of_any(
        self, path: str, neurons: Ids, box: BoundingBox | None = None
    ) -> Iterator[Columns]:
        """Yield the synapses of any of some neurons (ids sorted), as `scan`, each once."""
        ids = self.synapses_of_any(path, neurons, box)[KEYS["synapse"]]
        yield from self._batches(path, "synapse", ids)

    def _batches(self, path: str, table: str, ids: Ids) -> Iterator[Columns]:
        for start in range(0, max(len(ids), 1), A_BATCH):
            yield self.rows(table, path, ids[start : start + A_BATCH])
