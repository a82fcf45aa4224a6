"""What an engine provides: tables of synapses and neurons as columns of numbers.

With `bfly.databases.reader` this is the contract of a database on two pages;
`bfly.testing.databases` is it as a test suite. Entries and the loading of files,
`bfly.databases.engine`, are built upon it.
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
    """Keeps, for each dataset, a table of synapses and a table of neurons.

    The abstract methods are given the path of a dataset, and may be called from any thread.
    A change is seen by readers, of this and of other processes, once it is whole.

    Attributes
    ----------
    waits : bool
        Whether another process finds the answers while this one waits.
    """

    waits = False

    @abstractmethod
    def fingerprint(self, path: str) -> str:
        """Give what `replace` was told of the files last loaded; empty if nothing was."""

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
