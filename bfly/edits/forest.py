"""The segment of each supervoxel, now and after each earlier operation.

A union-find forest by size (R. E. Tarjan, "Efficiency of a good but not linear set union
algorithm", JACM 22, 1975), without path compression. A link never changes, and stores which
operation made it. So a state is just the number of an operation: a reader ignores the links of
later ones. It needs no lock while others write. Paths are at most as long as the logarithm of
a segment's size.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import fastremap
import numpy as np

from bfly.edits.components import components
from bfly.edits.id_table import IdTable

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Ids = NDArray[np.uint64]
    Places = NDArray[np.int64]
    Columns = dict[str, np.ndarray[Any, np.dtype[Any]]]

__all__ = ["Forest"]

SMALLEST = 1024
"""Supervoxels that the first arrays have room for."""

REBUILT = 1 << 20
"""Supervoxels up to which a full table is rebuilt larger. Beyond that another table is added:
rebuilding would delay a merge by a second."""

NEVER = np.uint32(2**32 - 1)
"""Marks a place without a link: later than any operation."""

ALIAS = np.uint32(0)
"""Size of a place that holds the name of a segment, not a supervoxel."""


class Forest:
    """A union-find forest that grows by operations. A place is an index into its arrays.

    Ids are uint64, places int64.
    """

    def __init__(self) -> None:
        self.count = 0
        self._events = 1  # of names; event 0 means that there is no name
        self._tables: list[IdTable] = []
        self._aliases: dict[int, int] = {}
        self._weaving = threading.Lock()
        self._places: Columns = {
            "id": np.zeros(0, np.uint64),
            "parent": np.zeros(0, np.uint32),
            "linked": np.zeros(0, np.uint32),
            "size": np.zeros(0, np.uint32),
            "next": np.zeros(0, np.uint32),
            "event": np.zeros(0, np.uint32),
        }
        self._names: Columns = {
            "place": np.zeros(1, np.uint32),
            "since": np.zeros(1, np.uint32),
            "before": np.zeros(1, np.uint32),
        }

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, with the space reserved for growth."""
        columns = [*self._places.values(), *self._names.values()]
        return sum(c.nbytes for c in columns) + sum(t.nbytes for t in self._tables)

    # Reading: from any thread. `at` is the last operation of a state, `count` its number of
    # places.

    def find(self, ids: Ids, count: int) -> Places:
        """Return the places of supervoxels; -1 for those not among the first `count` places."""
        places = np.full(len(ids), -1, np.int64)
        stored = self._places["id"][:count]
        for table in reversed(self._tables):
            left = np.flatnonzero(places < 0)
            if len(left):
                places[left] = table.find(ids[left], stored)
        return places

    def roots(self, places: Places, at: int) -> Places:
        """Return the root of the segment of each place."""
        parent, linked = self._places["parent"], self._places["linked"]
        roots = places.copy()
        left = np.flatnonzero(linked[roots] <= at)
        while len(left):
            roots[left] = parent[roots[left]]
            left = left[linked[roots[left]] <= at]
        return roots

    def names(self, roots: Places, at: int) -> Ids:
        """Return the names of segments by their roots."""
        event = self._places["event"][roots]
        since, before = self._names["since"], self._names["before"]
        left = np.flatnonzero(since[event] > at)
        while len(left):
            event[left] = before[event[left]]
            left = left[since[event[left]] > at]
        named = np.where(event > 0, self._names["place"][event], roots)
        names: Ids = self._places["id"][named]
        return names

    def segments(self, ids: Ids, at: int, count: int) -> Ids:
        """Return the names of the segments of supervoxels."""
        places = self.find(ids, count)
        edited = places >= 0
        segments = ids.copy()
        segments[edited] = self.names(self.roots(places[edited], at), at)
        return segments

    def holders(self, names: Ids, at: int, count: int) -> Places:
        """Return the roots of the segments with these names; -1 where no segment has the name."""
        held = np.full(len(names), -1, np.int64)
        aliases = (self._aliases.get(name, -1) for name in names.tolist())
        for places in (np.fromiter(aliases, np.int64, len(names)), self.find(names, count)):
            left = np.flatnonzero((held < 0) & (places >= 0) & (places < count))
            roots = self.roots(places[left], at)
            hit = self.names(roots, at) == names[left]
            held[left[hit]] = roots[hit]
        return held

    def ids(self, places: Places) -> Ids:
        """Return the supervoxels at these places."""
        ids: Ids = self._places["id"][places]
        return ids

    def members(self, root: int, at: int) -> Ids:
        """Return the supervoxels of a segment by its root, in no order."""
        ring: list[int] = []
        following = self._places["next"]
        with self._weaving:
            place = root
            while not ring or place != root:
                ring.append(place)
                place = int(following[place])
        places = np.array(ring)
        ids: Ids = self._places["id"][places[self.roots(places, at) == root]]
        return ids

    def table(self, at: int, count: int) -> tuple[Ids, Ids]:
        """Return the supervoxels of the first `count` places and the names of their segments."""
        places = np.flatnonzero(self._places["size"][:count] != ALIAS)
        return self._places["id"][places], self.names(self.roots(places, at), at)

    # Writing: one thread at a time.

    def add(self, ids: Ids) -> Places:
        """Return the places of supervoxels. New supervoxels are appended."""
        places = self.find(ids, self.count)
        new, inverse = fastremap.unique(ids[places < 0], return_inverse=True)
        if len(new):
            first = self._append(new, size=1)
            self._enter(new, np.arange(first, self.count))
            places[places < 0] = first + inverse.astype(np.int64)
        return places

    def _enter(self, ids: Ids, places: Places) -> None:
        """Enter new supervoxels into the id tables."""
        if not self._tables or self._tables[-1].count + len(ids) > self._tables[-1].capacity:
            if self.count <= REBUILT:
                table = IdTable(max(SMALLEST, 2 * self.count))
                old = np.flatnonzero(self._places["size"][: places[0]] != ALIAS)
                table.add(self._places["id"][old], old)
                self._tables = [table]
            else:
                self._tables.append(IdTable(max(len(ids), int(places[0]))))
        self._tables[-1].add(ids, places)

    def join(self, ids: Ids, sizes: ArrayLike, names: Ids, at: int) -> None:
        """Merge the segments of the supervoxels of each list into one segment.

        Parameters
        ----------
        ids : numpy.ndarray
            The lists, one after the other.
        sizes : array_like of int
            Length of each list, at least 1.
        names : numpy.ndarray
            Name of each list. If lists become the same segment, the last one names it.
        at : int
            Number of the operation, greater than all before.
        """
        sizes = np.asarray(sizes)
        if not len(sizes):
            return
        heads = np.cumsum(sizes) - sizes
        roots, local = fastremap.unique(self.roots(self.add(ids), at), return_inverse=True)
        local = local.astype(np.int64)
        label = components(len(roots), local, np.repeat(local[heads], sizes))
        self._link(roots, label, at)
        last = np.zeros(len(roots), np.int64)
        last[label[local[heads]]] = np.arange(len(sizes))
        labels = np.flatnonzero(label == np.arange(len(label)))
        self._name(self.roots(roots[labels], at), names[last[labels]], at)

    def _link(self, roots: Places, label: Places, at: int) -> None:
        """Link roots of the same label below the one with the largest segment."""
        column = self._places
        size = column["size"][roots]
        order = np.lexsort((size, label))  # the largest of each label comes last
        roots, label = roots[order], label[order]
        ends = np.flatnonzero(np.append(label[1:] != label[:-1], True))
        starts = np.append(0, ends[:-1] + 1)
        tops = np.repeat(roots[ends], ends - starts + 1)
        below = roots != tops
        column["size"][roots[ends]] = np.add.reduceat(size[order], starts)
        # Rings are joined by rotating the successors of their roots.
        turned = np.arange(1, len(roots) + 1)
        turned[ends] = starts
        with self._weaving:
            column["next"][roots] = column["next"][roots[turned]]
        column["parent"][roots[below]] = tops[below]
        column["linked"][roots[below]] = at

    def _name(self, roots: Places, names: Ids, at: int) -> None:
        """Set the names of segments as of an operation."""
        changed = self.names(roots, at) != names
        roots, names = roots[changed], names[changed]
        if not len(roots):
            return
        places = self.find(names, self.count)
        member = places >= 0
        member[member] = self.roots(places[member], at) == roots[member]
        # A name that is not a supervoxel of its segment needs an entry of its own.
        self._aliases.update(zip(names[~member].tolist(), roots[~member].tolist(), strict=True))
        unknown = places < 0
        places[unknown] = self._append(names[unknown], size=0) + np.arange(unknown.sum())
        first, after = self._events, self._events + len(roots)
        self._names = _grown(self._names, self._events, after)
        events = np.arange(first, after)
        self._names["place"][events], self._names["since"][events] = places, at
        self._names["before"][events] = self._places["event"][roots]
        self._events = after
        self._places["event"][roots] = events

    def _append(self, ids: Ids, size: int) -> int:
        first, after = self.count, self.count + len(ids)
        self._places = _grown(self._places, self.count, after)
        column, new = self._places, np.arange(first, after)
        column["id"][new], column["parent"][new], column["next"][new] = ids, new, new
        column["linked"][new], column["size"][new] = NEVER, size
        self.count = after
        return first


def _grown(columns: Columns, count: int, needed: int) -> Columns:
    """Return columns with room for the needed rows; at least doubled if they have to grow."""
    room = len(next(iter(columns.values())))
    if needed <= room:
        return columns
    more = max(SMALLEST, needed, 2 * room) if room < needed else room
    grown = {name: np.zeros(more, column.dtype) for name, column in columns.items()}
    for name, column in columns.items():
        grown[name][:count] = column[:count]
    return grown
