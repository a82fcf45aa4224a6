"""Hash table from 64-bit ids to places in an array, for many ids at once.

Open addressing with linear probing (D. E. Knuth, The Art of Computer Programming 3, 6.4). Each
step handles all ids that are not found yet. A sorted array would take a step for each bit of its
length, and could not grow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.edits.direct_table import DirectTable, is_dense

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ids = NDArray[np.uint64]
    Places = NDArray[np.int64]

__all__ = ["IdTable", "IdTables"]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""2^64 divided by the golden ratio: multiplying by it spreads consecutive ids evenly."""

SMALLEST = 1024
"""Ids that the first table has room for."""

REBUILT = 1 << 20
"""Ids up to which a full table is rebuilt larger. Beyond that another table is added: rebuilding
would delay a merge by a second."""


class IdTable:
    """A hash table of the places of ids. The ids themselves are in the caller's array.

    Parameters
    ----------
    capacity : int
        Number of ids that fit. Each takes 8 to 16 bytes.
    """

    def __init__(self, capacity: int) -> None:
        bits = max(4, (2 * capacity - 1).bit_length())
        self.capacity = capacity
        self.count = 0
        self._slots = np.zeros(1 << bits, np.uint32)  # the place + 1; 0 is an empty slot
        self._shift = np.uint64(64 - bits)

    @property
    def nbytes(self) -> int:
        """Bytes of the table."""
        return self._slots.nbytes

    @property
    def places(self) -> Places:
        """The places of all ids, in no order."""
        return self._slots[self._slots > 0].astype(np.int64) - 1

    def _first(self, ids: Ids) -> NDArray[Any]:
        return (ids * GOLDEN >> self._shift).astype(np.int64)

    def find(self, ids: Ids, known: Ids) -> Places:
        """Return the places of ids in the array `known`; -1 for ids it does not have.

        Ids whose place is beyond the end of the array do not count.
        """
        result = np.full(len(ids), -1, np.int64)
        if not len(known):
            return result
        left, slots = np.arange(len(ids)), self._first(ids)
        while len(left):
            entries = self._slots[slots]
            there = entries > 0
            left, slots, places = left[there], slots[there], entries[there].astype(np.int64) - 1
            hit = (known.take(places, mode="clip") == ids[left]) & (places < len(known))
            result[left[hit]] = places[hit]
            left, slots = left[~hit], (slots[~hit] + 1) & (len(self._slots) - 1)
        return result

    def add(self, ids: Ids, places: Places) -> None:
        """Add new ids, each once, with their places."""
        entries, slots = (places + 1).astype(np.uint32), self._first(ids)
        self.count += len(ids)
        while len(entries):
            free = self._slots[slots] == 0
            # If several entries hash to one slot, the last gets it; the others probe on.
            self._slots[slots[free]] = entries[free]
            lost = self._slots[slots] != entries
            entries, slots = entries[lost], (slots[lost] + 1) & (len(self._slots) - 1)


class IdTables:
    """Tables that grow: together they have each id once.

    Ids that fill their range are in a `DirectTable`, others in hash tables.
    """

    def __init__(self) -> None:
        # Replaced as a whole, since others read meanwhile.
        self._tables: tuple[DirectTable | IdTable, ...] = ()
        self._range = 2**64, 0

    @property
    def nbytes(self) -> int:
        """Bytes of all tables."""
        return sum(table.nbytes for table in self._tables)

    def find(self, ids: Ids, known: Ids) -> Places:
        """Return the places of ids; see `IdTable.find`."""
        tables = self._tables
        if not tables:
            return np.full(len(ids), -1, np.int64)
        places = tables[0].find(ids, known)
        for table in tables[1:]:
            left = np.flatnonzero(places < 0)
            if len(left):
                places[left] = table.find(ids[left], known)
        return places

    def add(self, ids: Ids, places: Places, known: Ids) -> None:
        """Add new ids, each once, with their places.

        Parameters
        ----------
        ids, places : numpy.ndarray
            The new ids and their places.
        known : numpy.ndarray
            The id at each place.
        """
        first, last = self._range
        self._range = min(first, int(ids.min())), max(last, int(ids.max()))
        if self._tables and isinstance(direct := self._tables[0], DirectTable):
            fits = direct.fits(ids)
            direct.add(ids[fits], places[fits])
            ids, places = ids[~fits], places[~fits]
        if not len(ids):
            return
        hashed = [table for table in self._tables if isinstance(table, IdTable)]
        if not hashed or hashed[-1].count + len(ids) > hashed[-1].capacity:
            hashed = self._larger(hashed, ids, places, known)
        if hashed:
            hashed[-1].add(ids, places)

    def _larger(self, hashed: list[IdTable], ids: Ids, places: Places, known: Ids) -> list[IdTable]:
        """Make room for ids; return the hash tables, or none if a direct table has the ids now."""
        before = sum(table.count for table in hashed)
        total = sum(table.count for table in self._tables) + len(ids)
        if total >= SMALLEST and is_dense(*self._range, total):
            direct = DirectTable(*self._range)
            moved = np.concatenate([places, *(table.places for table in self._tables)])
            direct.add(known[moved], moved)
            self._tables = (direct,)
            return []
        kept = tuple(table for table in self._tables if isinstance(table, DirectTable))
        if before + len(ids) <= REBUILT:
            table = IdTable(max(SMALLEST, 2 * (before + len(ids))))
            for old in hashed:
                table.add(known[old.places], old.places)
            hashed = [table]
        else:
            hashed = [*hashed, IdTable(max(len(ids), before))]
        self._tables = (*kept, *hashed)
        return hashed
