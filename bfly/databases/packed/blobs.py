"""Interface of an engine of packs: blobs by key, and transactions."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from bfly.databases.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from bfly.databases.packed.keys import Pack

    Page = Callable[[bytes, bytes, int], list[Pack]]

__all__ = ["EVERYTHING", "Blobs", "Gone", "pages"]

EVERYTHING = [(b"", b"\xff" * 24)]
"""Range of all keys."""


class Gone(LookupError):
    """The set of packs was dropped after its lookup: look it up again and retry."""


class Blobs(Engine):
    """Store of sets of packs; same parameters as `Database`.

    An engine derives from `bfly.databases.packed.database.PackedDatabase`, implements the abstract
    methods below, and calls `_check_version` once its store is open. A *set* of packs has a
    number, never reused, and one table from key to blob for each of
    `bfly.databases.packed.keys.KINDS`. All calls between entering and leaving `_transaction`,
    by the thread that entered it, belong to that transaction.
    """

    @abstractmethod
    def _transaction(self) -> AbstractContextManager[None]:
        """Wait for the writers of all processes, run a transaction, then commit or roll back.

        Readers meanwhile see the old state and do not wait. Committed changes are durable.
        """

    @abstractmethod
    def _get(self, name: str) -> str | None:
        """Return a metadata value; None if it was never set."""

    @abstractmethod
    def _set(self, name: str, value: str) -> None:
        """Set a metadata value. Requires a transaction."""

    @abstractmethod
    def _create(self, number: int) -> None:
        """Create an empty set of packs. Requires a transaction."""

    @abstractmethod
    def _drop(self, number: int) -> None:
        """Drop a set of packs, as the last call in a transaction."""

    @abstractmethod
    def _read(self, number: int, kind: str, ranges: list[tuple[bytes, bytes]]) -> Iterable[Pack]:
        """Return the packs that may hold rows with keys in some ranges, from one snapshot.

        Parameters
        ----------
        number : int
            Number of the set.
        kind : str
            One of `KINDS`.
        ranges : list of (bytes, bytes)
            The lowest and the highest key of each range. Its packs are the one with the
            greatest key ``<=`` its lowest, and all up to its highest. A pack in several
            ranges may come several times.

        Raises
        ------
        Gone
            The set does not exist.
        """

    def _lengths(
        self, number: int, kind: str, ranges: list[tuple[bytes, bytes]]
    ) -> Iterable[tuple[bytes, int]]:
        """Return the keys of the packs of `_read`, and their lengths in bytes."""
        return ((key, len(blob)) for key, blob in self._read(number, kind, ranges))

    @abstractmethod
    def _scan(
        self, number: int, kind: str, ranges: list[tuple[bytes, bytes]] = EVERYTHING
    ) -> Iterator[Pack]:
        """Yield the packs of `_read` in key order, few in memory at once.

        No transaction, lock or connection is held between two packs. The ranges ascend. The
        packs need not come from one snapshot. If a pack is split during the scan, its upper
        part may come again as a pack with its own key. Other methods may be called during
        the scan, and each step may run in another thread. Raises `Gone` like `_read`.
        """

    @abstractmethod
    def _write(self, number: int, kind: str, packs: Iterable[Pack]) -> None:
        """Write packs, replacing those with the same keys. Requires a transaction."""

    @abstractmethod
    def _remove(self, number: int, kind: str, keys: Iterable[bytes]) -> None:
        """Remove packs; missing keys are ignored. Requires a transaction."""

    def _fill(self, number: int, kind: str, packs: Iterable[Pack]) -> None:
        """Write many packs, with new ascending keys, to a set created in this transaction."""
        self._write(number, kind, packs)

    @property
    def _folder(self) -> str | None:
        """Folder for the temporary files of a load; None for the system default."""
        return None


def pages(page: Page, ranges: list[tuple[bytes, bytes]], most: int) -> Iterator[Pack]:
    """Yield the packs of ranges, fetched by key in independent pages.

    Parameters
    ----------
    page : callable
        Takes two keys and a limit. Returns the packs from that of the first key to the second.
    ranges : list of (bytes, bytes)
        Ascending.
    most : int
        Packs per page; at least two.
    """
    last = b""
    for low, high in ranges:
        while True:
            packs = page(max(low, last), high, most)
            # The first pack may be the last one of the page before.
            new = [pack for pack in packs if pack[0] > last]
            yield from new
            if new:
                last = new[-1][0]
            if len(packs) < most:
                break
