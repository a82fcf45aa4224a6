"""Interface of an engine: tables of synapses and neurons as columns of numbers.

Together with `bfly.databases.reader` this is the contract of a database, on two pages.
`bfly.testing.databases` is its test suite. `bfly.databases.engine` builds entries and file
loading on top of it.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from bfly.databases.database import Database
from bfly.databases.reader import Reader
from bfly.errors import BadRequest
from bfly.tables.columns import KEYS, POINT, typed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bfly.databases.reader import Ids
    from bfly.tables.columns import Columns

    Progress = Callable[[float], None]

__all__ = ["PackStore", "amended", "numbered"]


class PackStore(Reader, Database):
    """Store of one table of synapses and one table of neurons per dataset.

    The abstract methods take the path of a dataset. Any thread may call them. Readers of
    all processes see a change only once it is complete.

    Attributes
    ----------
    waits : bool
        Whether another process computes the answers while this one waits.
    """

    waits = False

    @abstractmethod
    def fingerprint(self, path: str) -> str:
        """Return the fingerprint last given to `replace`; empty if there was none."""

    @abstractmethod
    def replace(
        self,
        path: str,
        fingerprint: str,
        neurons: Iterable[Columns],
        synapses: Iterable[Columns],
        progress: Progress | None = None,
    ) -> None:
        """Replace both tables of a dataset in one transaction.

        Parameters
        ----------
        path : str
            The dataset.
        fingerprint : str
            State of the files; kept for `fingerprint`.
        neurons, synapses : iterable of Columns
            Batches, all with the same columns; never all in memory at once. The last row
            with an id replaces earlier ones. A neuron named only by synapses is added at
            the position of its synapse with the lowest id.
        progress : callable, optional
            Called now and then with the part that is done, from 0 to 1, of the work after
            the batches are read.
        """

    @abstractmethod
    def upsert(self, table: str, path: str, columns: Columns) -> None:
        """Write rows, replacing those with the same ids; durable on return."""

    @abstractmethod
    def append(self, table: str, path: str, columns: Columns) -> Columns:
        """Write rows without ids as `upsert` does, and return them with their ids.

        The ids follow the highest of the table, even while other writers append.
        """

    @abstractmethod
    def amend(self, table: str, path: str, columns: Columns) -> Columns:
        """Write some columns of a row as `upsert` does, and return the complete row.

        The other columns keep their values, even while other writers write. In a new row
        they are zeros.
        """


def amended(table: str, old: Columns, new: Columns) -> Columns:
    """Return a row, or an empty one, with some columns replaced."""
    return typed(table, {**(old if len(old[KEYS[table]]) else {}), **new})


def numbered(table: str, columns: Columns, known: Ids) -> Columns:
    """Return rows with new ids that follow the last id of `known`, which is sorted.

    Raises
    ------
    BadRequest
        Not enough ids are left.
    """
    first = int(known[-1]) + 1 if len(known) else 0
    count = len(columns[POINT[0]])
    if first + count > 2**64:
        raise BadRequest(f"The ids of {count} {table}s after {first - 1} are not below 2^64.")
    return {KEYS[table]: np.arange(first, first + count, dtype=np.uint64), **columns}
