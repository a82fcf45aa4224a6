"""Rings of places: every segment, past or present, is within one ring."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from bfly.edits.columns import Columns, grown
from bfly.edits.components import components

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Places = NDArray[np.int64]

__all__ = ["Rings"]


class Rings:
    """Rings of places, which are joined but never parted.

    So a ring has all members of a segment in any state, and after splits those of others.
    """

    def __init__(self) -> None:
        self._count = 0
        self._columns: Columns = {"next": np.zeros(0, np.uint32)}
        self._joining = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, with the space reserved for growth."""
        return sum(column.nbytes for column in self._columns.values())

    def of(self, place: int) -> Places:
        """Return the places of a ring."""
        ring = [place]
        with self._joining:
            # Its elements are read faster than those of an array.
            following = self._columns["next"].data
            while (after := following[ring[-1]]) != place:
                ring.append(after)
        return np.array(ring, np.int64)

    def append(self, count: int) -> None:
        """Add places, each a ring of its own."""
        first, after = self._count, self._count + count
        self._columns = grown(self._columns, first, after)
        for column in self._columns.values():
            column[first:after] = np.arange(first, after)
        self._count = after

    @property
    def apart(self) -> bool:
        """Whether segments may be parts of the same ring."""
        return "ring" in self._columns

    def keep_apart(self, rings: Places) -> None:
        """Prepare for segments that are parts of the same ring: call it before the first one.

        Until then the places of a call of `join` are in different rings.

        Parameters
        ----------
        rings : numpy.ndarray
            For each place another one of its ring, and so on up to one that is its own.
        """
        self._columns["ring"] = np.zeros(len(self._columns["next"]), np.uint32)
        self._columns["ring"][: self._count] = rings

    def join(self, places: Places, label: Places) -> None:
        """Join the rings of the places of each label; those of a label are side by side."""
        if self.apart:
            places, label = self._one_of_each(places, label)
        ends = np.flatnonzero(np.append(label[1:] != label[:-1], True))
        turned = np.arange(1, len(places) + 1)
        turned[ends] = np.append(0, ends[:-1] + 1)
        following = self._columns["next"]
        with self._joining:
            following[places] = following[places[turned]]

    def _one_of_each(self, places: Places, label: Places) -> tuple[Places, Places]:
        """Return a place of each ring, and a label of the rings that become one; link them."""
        above = self._columns["ring"]
        rings = above[places].astype(np.int64)
        while not np.array_equal(rings, above[rings]):
            rings = above[rings].astype(np.int64)
        above[places] = rings
        rings, first, ring = np.unique(rings, return_index=True, return_inverse=True)
        _, group = np.unique(label, return_inverse=True)
        # Two labels may have places of the same rings.
        merged = components(len(rings) + len(places), ring, len(rings) + group)[: len(rings)]
        order = np.argsort(merged, kind="stable")
        places, label, rings = places[first][order], merged[order], rings[order]
        begins = np.flatnonzero(np.append(True, label[1:] != label[:-1]))
        above[rings] = np.repeat(rings[begins], np.diff(begins, append=len(rings)))
        return places, label
