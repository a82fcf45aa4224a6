"""The segment of each supervoxel, now and after each earlier operation.

A union-find forest by size (R. E. Tarjan, "Efficiency of a good but not linear set union
algorithm", JACM 22, 1975), without path compression. Each link states which operation made it. So
a state is just the number of an operation: a reader ignores what later ones did. It needs no lock
while others write. Merges alone make paths at most as long as the logarithm of a segment's size;
a split shortens those that it has to change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import fastremap
import numpy as np

from bfly.edits.columns import Columns, grown
from bfly.edits.components import components
from bfly.edits.id_table import IdTables
from bfly.edits.links import Links
from bfly.edits.rings import Rings
from bfly.edits.titles import Titles

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Ids = NDArray[np.uint64]
    Places = NDArray[np.int64]

__all__ = ["Forest"]

ALIAS = np.uint32(0)
"""Size of a place that holds the name of a segment, not a supervoxel."""


class Forest:
    """A union-find forest that grows by operations. A place is an index into its arrays.

    Ids are uint64, places int64.

    Attributes
    ----------
    count : int
        Number of places.
    numbers : int
        Number of the last root id; those of the next operation follow.
    """

    def __init__(self) -> None:
        self.count = 0
        self.numbers = 0
        self._tables = IdTables()
        self._aliases: dict[int, int] = {}
        self._former: dict[int, list[int]] = {}
        self._places: Columns = {"id": np.zeros(0, np.uint64), "size": np.zeros(0, np.uint32)}
        self._links = Links()
        self._titles = Titles()
        self._rings = Rings()

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, with the space reserved for growth."""
        own = sum(column.nbytes for column in self._places.values())
        return (
            own
            + self._tables.nbytes
            + self._links.nbytes
            + self._titles.nbytes
            + self._rings.nbytes
        )

    # Reading: from any thread. `at` is the last operation of a state, `count` its number of
    # places.

    def find(self, ids: Ids, count: int) -> Places:
        """Return the places of supervoxels; -1 for those not among the first `count` places."""
        return self._tables.find(ids, self._places["id"][:count])

    def roots(self, places: Places, at: int) -> Places:
        """Return the root of the segment of each place."""
        return self._links.roots(places, at)

    def names(self, roots: Places, at: int) -> Ids:
        """Return the names of segments by their roots."""
        return self.ids(self._titles.names(roots, at))

    def numbers_of(self, roots: Places, at: int) -> Ids:
        """Return the numbers of the root ids of segments by their roots; 0 for unedited ones."""
        return self._titles.numbers(roots, at)

    def numbered(self, number: int) -> tuple[int, int]:
        """Return the root of the segment that had a number, and its operation; -1, 0 if none."""
        return self._titles.find(number)

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
        if self._former:
            for place in np.flatnonzero(held < 0).tolist():
                held[place] = self._former_holder(int(names[place]), at)
        return held

    def _former_holder(self, name: int, at: int) -> int:
        """Return the root of the segment that has had a name until others got it; -1 if none."""
        for root in self._former.get(name, ()):
            place = np.array([root])
            if self.roots(place, at)[0] == root and self.ids(self._titles.names(place, at)) == name:
                return root
        return -1

    def has(self, ids: Ids) -> NDArray[np.bool_]:
        """Return a mask of the ids that are a supervoxel, or the name of a segment of any time."""
        named = np.fromiter((each in self._aliases for each in ids.tolist()), bool, len(ids))
        has: NDArray[np.bool_] = named | (self.find(ids, self.count) >= 0)
        return has

    def ids(self, places: Places) -> Ids:
        """Return the supervoxels at these places."""
        ids: Ids = self._places["id"][places]
        return ids

    def members(self, root: int, at: int) -> Ids:
        """Return the supervoxels of a segment by its root, in no order."""
        return self.ids(self._members(root, at))

    def _members(self, root: int, at: int) -> Places:
        places = self._rings.of(root)
        members: Places = places[self.roots(places, at) == root]
        return members

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
            self._tables.add(new, np.arange(first, self.count), self._places["id"])
            places[places < 0] = first + inverse.astype(np.int64)
        return places

    def join(
        self, ids: Ids, sizes: ArrayLike, names: Ids, at: int, numbers: Ids | None = None
    ) -> None:
        """Merge the segments of the supervoxels of each list into one segment.

        Parameters
        ----------
        ids : numpy.ndarray
            The lists, one after the other.
        sizes : array_like of int
            Length of each list, at least 1.
        names : numpy.ndarray
            Name of each list. If lists become the same segment, the last one names it. Each list
            takes a number of a root id.
        at : int
            Number of the operation, greater than all before.
        numbers : numpy.ndarray, optional
            The numbers, above all that were given before, if they are not those that follow.
        """
        sizes = np.asarray(sizes)
        if not len(sizes):
            return
        if numbers is None:
            numbers = np.arange(self.numbers + 1, self.numbers + 1 + len(sizes), dtype=np.uint64)
            self.numbers += len(sizes)
        heads = np.cumsum(sizes) - sizes
        roots, local = fastremap.unique(self.roots(self.add(ids), at), return_inverse=True)
        local = local.astype(np.int64)
        label = components(len(roots), local, np.repeat(local[heads], sizes))
        self._link(roots, label, at)
        last = np.zeros(len(roots), np.int64)
        last[label[local[heads]]] = np.arange(len(sizes))
        labels = np.flatnonzero(label == np.arange(len(label)))
        last = last[labels]
        self._title(self.roots(roots[labels], at), names[last], numbers[last], at)

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
        self._rings.join(roots, label)
        self._links.set(roots[below], tops[below], at)

    def adopt(self, supervoxels: Ids, new: Ids, at: int) -> None:
        """Put new supervoxels into the segments of others, whose names and numbers stay.

        Parameters
        ----------
        supervoxels, new : numpy.ndarray
            A supervoxel of each segment, and one that no operation named before.
        at : int
            Number of the operation, not less than any before.
        """
        if not len(new):
            return
        places = self.add(new)
        tops = self.roots(self.add(supervoxels), at)
        self._links.set(places, tops, at)
        roots, count = np.unique(tops, return_counts=True)
        self._places["size"][roots] += count.astype(np.uint32)
        both, label = np.concatenate([roots, places]), np.concatenate([roots, tops])
        order = np.argsort(label, kind="stable")
        self._rings.join(both[order], label[order])

    def load(self, ids: Ids, sizes: NDArray[np.int64], names: Ids, numbers: Ids, at: int) -> None:
        """Begin with the segments of a state, as `join` would, but without looking anything up.

        Parameters
        ----------
        ids : numpy.ndarray
            The supervoxels of each segment, one segment after the other; each supervoxel once.
        sizes, names, numbers : numpy.ndarray
            Of each segment: how many supervoxels it has, at least 1, its name, and the number of
            its root id. The numbers ascend.
        at : int
            Number of the operation.
        """
        if not len(ids):
            return
        self._append(ids, size=1)
        self._tables.add(ids, np.arange(len(ids)), self._places["id"])
        roots = np.cumsum(sizes) - sizes
        self._places["size"][roots] = sizes
        below = np.ones(len(ids), bool)
        below[roots] = False
        self._links.set(np.flatnonzero(below), np.repeat(roots, sizes)[below], at)
        self._rings.join(np.arange(len(ids)), np.repeat(roots, sizes))
        self._title(roots, names, numbers, at)

    def part(self, ids: Ids, sizes: ArrayLike, names: Ids, at: int) -> None:
        """Separate lists of supervoxels from their segments, each as a segment of its own.

        Parameters
        ----------
        ids : numpy.ndarray
            The lists, one after the other. All supervoxels of a list are in one segment, and none
            is in two lists. Not all supervoxels of a segment are in lists.
        sizes : array_like of int
            Length of each list, at least 1.
        names : numpy.ndarray
            Name of each list, and then that of what is left of each segment, in the order in which
            the lists mention them. Each takes a number of a root id.
        at : int
            Number of the operation, not less than any before.
        """
        sizes = np.asarray(sizes)
        if not len(sizes):
            return
        places = self.add(ids)
        owners = np.repeat(np.arange(len(sizes)), sizes)
        tops = self.roots(places, at)
        mentioned = np.sort(np.unique(tops, return_index=True)[1])
        heads = np.cumsum(sizes) - sizes
        roots = np.zeros(len(sizes) + len(mentioned), np.int64)
        for rest, top in enumerate(tops[mentioned].tolist(), len(sizes)):
            listed = tops == top
            parts = np.flatnonzero(tops[heads] == top)
            local = np.searchsorted(parts, owners[listed])
            roots[[*parts, rest]] = self._separate(top, places[listed], local, len(parts), at)
        first, self.numbers = self.numbers + 1, self.numbers + len(roots)
        self._title(roots, names, np.arange(first, self.numbers + 1, dtype=np.uint64), at)

    def _separate(self, top: int, places: Places, label: Places, count: int, at: int) -> Places:
        """Part a segment; return the roots of the parts, and that of the rest.

        Parameters
        ----------
        top : int
            Root of the segment.
        places, label : numpy.ndarray
            Places of the parts, and the part of each, from 0 to `count` - 1; the rest is `count`.
        """
        if not self._rings.apart:
            self._rings.keep_apart(self._links.first_parents())
        members = np.sort(self._members(top, at))
        part = np.full(len(members), count)
        part[np.searchsorted(members, places)] = label
        parents = self._links.parents(members, at)
        above = np.searchsorted(members, parents)
        roots = members[np.unique(part, return_index=True)[1]]
        mine = np.searchsorted(members, top)
        roots[part[mine]] = top
        moved = (part[above] != part) | ((roots[part] == members) & (parents != members))
        self._links.set(members[moved], roots[part[moved]], at)
        self._places["size"][roots] = np.bincount(part)
        return roots

    def _title(self, roots: Places, names: Ids, numbers: Ids, at: int) -> None:
        """Set the names of segments and the numbers of their root ids."""
        places = self.find(names, self.count)
        member = places >= 0
        member[member] = self.roots(places[member], at) == roots[member]
        # A name that is not a supervoxel of its segment needs an entry of its own.
        for name, root in zip(names[~member].tolist(), roots[~member].tolist(), strict=True):
            if self._aliases.get(name, root) != root:
                self._former.setdefault(name, []).append(self._aliases[name])
            self._aliases[name] = root
        unknown = places < 0
        places[unknown] = self._append(names[unknown], size=0) + np.arange(unknown.sum())
        self._titles.add(roots, places, numbers, at)

    def _append(self, ids: Ids, size: int) -> int:
        first, after = self.count, self.count + len(ids)
        self._places = grown(self._places, first, after)
        self._places["id"][first:after], self._places["size"][first:after] = ids, size
        for column in (self._links, self._titles, self._rings):
            column.append(len(ids))
        self.count = after
        return first
