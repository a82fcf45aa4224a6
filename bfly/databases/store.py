"""What an engine provides: tables of synapses and neurons as columns of numbers.

This is the contract of a database on one page; `bfly.testing.databases` is it as a test
suite. Entries and features, `bfly.databases.engine`, are built upon it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from bfly.databases.columns import IDS, KEYS, POINT, among, typed
from bfly.databases.database import Database
from bfly.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from bfly.databases.columns import Columns, Ranges
    from bfly.geometry import BoundingBox

    Ids = NDArray[np.uint64]
    Counts = NDArray[np.int64]
    Progress = Callable[[float], None]

__all__ = ["Store", "amended", "numbered"]

A_BATCH = 100_000
"""How many rows `Store.scan` gives at once."""


class Store(Database, ABC):
    """Keeps, for each dataset, a table of synapses and a table of neurons.

    The abstract methods are given the path of a dataset, and may be called from any thread.
    A change is seen by readers, of this and of other processes, once it is whole.
    """

    @abstractmethod
    def fingerprint(self, path: str) -> str:
        """Give what `replace` was told of the files last loaded; empty if nothing was."""

    @abstractmethod
    def state(self, path: str) -> str:
        """Give a text that is another one after every change of a dataset."""

    @abstractmethod
    def replace(
        self,
        path: str,
        fingerprint: str,
        neurons: Iterable[Columns],
        synapses: Iterable[Columns],
        progress: Progress | None = None,
    ) -> None:
        """Load both tables of a dataset in place of what they held, as one transaction.

        Parameters
        ----------
        path : str
            The dataset.
        fingerprint : str
            Names the state of the files; kept for `fingerprint`.
        neurons, synapses : iterable of Columns
            In batches, each with the same columns; never all in memory at once. Of rows
            with the same id the last counts. A neuron that only synapses name is added at
            the place of its synapse with the lowest id.
        progress : callable, optional
            Is told now and then which part is done, from 0 to 1, of what takes long once the
            batches are read.
        """

    @abstractmethod
    def upsert(self, table: str, path: str, columns: Columns) -> None:
        """Write rows, in place of those with the same ids; durable when it returns."""

    @abstractmethod
    def append(self, table: str, path: str, columns: Columns) -> Columns:
        """Write rows without ids as `upsert` does; gives them with their ids.

        The ids follow the highest of the table, whoever else appends at the same time.
        """

    @abstractmethod
    def amend(self, table: str, path: str, columns: Columns) -> Columns:
        """Write some columns of a row as `upsert` does; gives the whole row.

        The others stay as they were, whoever else writes at the same time; of a row that is
        new they are zeros.
        """

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
        """Give the synapses of some `bfly.databases.tiers` in a box, in any order.

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

    def partners(self, path: str, neuron: int) -> tuple[Ids, Ids]:
        """Give, for each synapse, the neuron after `neuron`; then likewise those before it."""
        found = self.synapses_of(path, neuron)
        pre, post = found["n1"], found["n2"]
        return post[pre == np.uint64(neuron)], pre[post == np.uint64(neuron)]

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


def amended(table: str, old: Columns, new: Columns) -> Columns:
    """Give a row, if there is one, with some columns in the place of its own."""
    return typed(table, {**(old if len(old[KEYS[table]]) else {}), **new})


def numbered(table: str, columns: Columns, known: Ids) -> Columns:
    """Give rows the ids that follow the last of sorted ones.

    Raises
    ------
    BadRequest
        There are not as many left.
    """
    first = int(known[-1]) + 1 if len(known) else 0
    count = len(columns[POINT[0]])
    if first + count > 2**64:
        raise BadRequest(f"The ids of {count} {table}s after {first - 1} are not below 2^64.")
    return {KEYS[table]: np.arange(first, first + count, dtype=np.uint64), **columns}
