"""What an engine of packs provides: blobs by key, and transactions."""

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
"""The range of all keys."""


class Gone(LookupError):
    """A set of packs was dropped since it was looked up: look it up again and retry."""


class Blobs(Engine):
    """Keeps sets of packs; the arguments are those of `Database`.

    An engine derives from `bfly.databases.packed.database.PackedDatabase`, implements the abstract
    methods below, and calls `_check_version` when it has opened its store. A *set* of packs
    has a number, and one table from key to blob for each of `bfly.databases.packed.keys.KINDS`;
    numbers are never used again. Whatever is called between entering and leaving
    `_transaction`, by the thread that entered it, belongs to that transaction.
    """

    @abstractmethod
    def _transaction(self) -> AbstractContextManager[None]:
        """Begin to write: waits for other writers of any process, commits or rolls back.

        Readers meanwhile see the old state and do not wait. What was committed is durable.
        """

    @abstractmethod
    def _get(self, name: str) -> str | None:
        """Give a word of metadata; None if it was never set."""

    @abstractmethod
    def _set(self, name: str, value: str) -> None:
        """Set a word of metadata; in a transaction."""

    @abstractmethod
    def _create(self, number: int) -> None:
        """Make an empty set of packs; in a transaction."""

    @abstractmethod
    def _drop(self, number: int) -> None:
        """Drop a set of packs; the last thing done in a transaction."""

    @abstractmethod
    def _read(self, number: int, kind: str, ranges: list[tuple[bytes, bytes]]) -> Iterable[Pack]:
        """Give the packs that may hold rows with keys in some ranges, all from one state.

        Parameters
        ----------
        number : int
            The set.
        kind : str
            One of `KINDS`.
        ranges : list of (bytes, bytes)
            The lowest and the highest key of each. The packs of a range are the one with
            the greatest key ``<=`` its lowest, and all with keys up to its highest; a pack
            of several ranges may come several times.

        Raises
        ------
        Gone
            There is no such set.
        """

    @abstractmethod
    def _scan(
        self, number: int, kind: str, ranges: list[tuple[bytes, bytes]] = EVERYTHING
    ) -> Iterator[Pack]:
        """Give the packs of `_read` in the order of their keys, few in memory at once.

        No transaction, lock or connection is held between two packs, however long the caller
        takes. The ranges ascend. The packs need not all be from one state: of one that is divided
        meanwhile the upper part may come once more, as a pack with a key of its own. Other
        methods may be called meanwhile, and each step from another thread. Raises `Gone` like
        `_read`.
        """

    @abstractmethod
    def _write(self, number: int, kind: str, packs: Iterable[Pack]) -> None:
        """Write packs, in place of those with the same keys; in a transaction."""

    @abstractmethod
    def _remove(self, number: int, kind: str, keys: Iterable[bytes]) -> None:
        """Remove packs that may not be there; in a transaction."""

    def _fill(self, number: int, kind: str, packs: Iterable[Pack]) -> None:
        """Write many packs with new keys, ascending, to a set made in this transaction."""
        self._write(number, kind, packs)

    @property
    def _folder(self) -> str | None:
        """Where temporary files of a load are made; None for the system's place."""
        return None


def pages(page: Page, ranges: list[tuple[bytes, bytes]], most: int) -> Iterator[Pack]:
    """Yield the packs of ranges, fetched by key in pages that do not depend on each other.

    Parameters
    ----------
    page : callable
        Returns the packs from a key (the pack it belongs to) to another, at most so many.
    ranges : list of (bytes, bytes)
        Ascending.
    most : int
        The packs of a page; two at least.
    """
    last = b""
    for low, high in ranges:
        while True:
            packs = page(max(low, last), high, most)
            # The first may be the last of those before.
            new = [pack for pack in packs if pack[0] > last]
            yield from new
            if new:
                last = new[-1][0]
            if len(packs) < most:
                break
