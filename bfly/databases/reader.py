"""How tables of synapses and neurons are read: as columns of numbers.

This is one half of the contract of a database; `bfly.databases.store` is the other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from bfly.tables.columns import IDS, KEYS, among, partners_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bfly.geometry import BoundingBox
    from bfly.tables.columns import Columns, Ranges

    Ids = NDArray[np.uint64]
    Counts = NDArray[np.int64]

__all__ = ["Reader"]

A_BATCH = 100_000
"""How many rows `Reader.scan` gives at once."""


class Reader(ABC):
    """Has, for each dataset, a table of synapses and a table of neurons.

    All methods but `dataset` are given the path of a dataset, and may be called from any thread.
    """

    @abstractmethod
    def dataset(self, path: str) -> str:
        """Give the dataset of a channel's path; a dataset's path stands for itself."""

    @abstractmethod
    def state(self, path: str) -> str:
        """Give a text that is another one after every change of a dataset."""

    @abstractmethod
    def rows(self, table: str, path: str, ids: Ids) -> Columns:
        """Give the rows with some ids, in that order; ids that are not there are left out."""

    @abstractmethod
    def ids(self, table: str, path: str) -> Ids:
        """Give all ids of a table, sorted; of an unknown dataset none."""

    @abstractmethod
    def synapses_in(self, path: str, box: BoundingBox) -> Columns:
        """Give the synapses in a box (voxels of mip 0), sorted by id."""

    def ids_in(self, path: str, box: BoundingBox) -> Ids:
        """Give the ids of the synapses in a box (voxels of mip 0), sorted."""
        return self.synapses_in(path, box)[KEYS["synapse"]]

    @abstractmethod
    def synapses_of(self, path: str, neuron: int, box: BoundingBox | None = None) -> Columns:
        """Give the synapses before and after a neuron, those in a box if given, sorted by id."""

    @abstractmethod
    def thinned(self, path: str, first: int, last: int, box: BoundingBox) -> Columns:
        """Give the synapses of some `bfly.databases.lod` in a box, in any order.

        Parameters
        ----------
        path : str
            The dataset.
        first, last : int
            The lowest and the highest tier. What takes long has to be in proportion to the
            synapses that are found, not to all that are in the box.
        box : BoundingBox
            In voxels of mip 0.
        """

    @abstractmethod
    def ranges(self, path: str) -> Ranges:
        """Give between which values the columns of the synapses lie, or lay before a change."""

    def count(self, table: str, path: str) -> int:
        """Give the number of rows of a table."""
        return len(self.ids(table, path))

    def has_rows(self, table: str, path: str) -> bool:
        """Tell whether a table has any rows."""
        return self.count(table, path) > 0

    def partners(self, path: str, neuron: int) -> tuple[Ids, Ids]:
        """Give, for each synapse, the neuron after `neuron`; then likewise those before it."""
        found = self.synapses_of(path, neuron)
        return partners_of(found["n1"], found["n2"], neuron)

    def degrees(self, path: str, neurons: Ids) -> tuple[Counts, Counts]:
        """Give of how many synapses neurons, whose ids are sorted, are before and after."""
        degrees = np.zeros((2, len(neurons)), np.int64)
        for batch in self.scan(path):
            for degree, name in zip(degrees, IDS["synapse"][1:], strict=True):
                ids, counts = np.unique(batch[name], return_counts=True)
                known = among(ids, neurons)
                degree[np.searchsorted(neurons, ids[known])] += counts[known]
        return degrees[0], degrees[1]

    def scan(
        self,
        path: str,
        box: BoundingBox | None = None,
        neuron: int | None = None,
        table: str = "synapse",
    ) -> Iterator[Columns]:
        """Go through all rows of a table, or the synapses in a box, of a neuron, or both.

        Yields
        ------
        Columns
            Batches of bounded size, in no order, each row once, all with the same columns,
            which the first has even if it has no rows. A row that is written meanwhile may be
            missing, or come as it was and as it is. Of an unknown dataset there may be none.
        """
        if neuron is not None:
            ids = self.synapses_of(path, neuron, box)[KEYS[table]]
        else:
            ids = self.ids(table, path) if box is None else self.ids_in(path, box)
        for start in range(0, max(len(ids), 1), A_BATCH):
            yield self.rows(table, path, ids[start : start + A_BATCH])
