"""Table of the places of ids that fill their range: one look-up is one read of memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ids = NDArray[np.uint64]
    Places = NDArray[np.int64]

__all__ = ["DirectTable", "is_dense"]

SPARSEST = 4
"""Slots for each id, at most: 16 bytes, as in a hash table."""


def is_dense(first: int, last: int, count: int) -> bool:
    """Return whether a direct table of ids takes no more memory than a hash table."""
    return last - first < SPARSEST * count


class DirectTable:
    """The places of ids of a range. The ids themselves are in the caller's array.

    Parameters
    ----------
    first, last : int
        The range. Each id in it takes 4 bytes.
    """

    def __init__(self, first: int, last: int) -> None:
        # The place + 1; 0 is an empty slot. An id outside the range gets the first or last slot.
        self._slots = np.zeros(last - first + 3, np.uint32)
        self._base = np.uint64((first - 1) % 2**64)
        self.count = 0

    @property
    def nbytes(self) -> int:
        """Bytes of the table."""
        return self._slots.nbytes

    @property
    def places(self) -> Places:
        """The places of all ids, in the order of the ids."""
        return self._slots[self._slots > 0].astype(np.int64) - 1

    def fits(self, ids: Ids) -> NDArray[np.bool_]:
        """Return a mask of the ids that are in the range."""
        slots = ids - self._base
        fits: NDArray[np.bool_] = (slots > 0) & (slots < len(self._slots) - 1)
        return fits

    def find(self, ids: Ids, known: Ids) -> Places:
        """Return the places of ids; -1 for ids without one before the end of `known`."""
        slots = (ids - self._base).view(np.int64)
        places = self._slots.take(slots, mode="clip").astype(np.int64)
        places -= 1
        if len(places) and places.max() >= len(known):
            places[places >= len(known)] = -1
        return places

    def add(self, ids: Ids, places: Places) -> None:
        """Add new ids of the range, each once, with their places."""
        self._slots[(ids - self._base).view(np.int64)] = places + 1
        self.count += len(ids)
