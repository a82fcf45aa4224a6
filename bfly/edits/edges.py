"""What holds supervoxels together: the edges that operations made."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bfly.edits.components import components

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from bfly.edits.operation import Operation

    Ids = NDArray[np.uint64]
    Places = NDArray[np.int64]

__all__ = ["Edges", "edges_of", "lists_of", "narrowed"]

NO_ENDS: Any = np.empty((0, 2), np.int64)


class Edges(NamedTuple):
    """What holds supervoxels together.

    Parameters
    ----------
    members : numpy.ndarray
        uint64, sorted: the supervoxels.
    ends : numpy.ndarray
        int64 of shape (n, 2): the places of the ends of each edge in `members`.
    made_by : numpy.ndarray
        int64: the operation that made each edge.
    ever : numpy.ndarray
        int64 of shape (n, 2): also the ends of those that are taken back or away, if they matter.
    """

    members: Ids
    ends: Places
    made_by: NDArray[np.int64]
    ever: Places = NO_ENDS

    def kept(self, mask: NDArray[np.bool_]) -> Edges:
        """Return some of the edges."""
        return self._replace(ends=self.ends[mask], made_by=self.made_by[mask])

    def linked(self, ends: Places, made_by: int) -> Edges:
        """Return the edges with more of them, all made by the same operation."""
        made = np.append(self.made_by, np.full(len(ends), made_by))
        return self._replace(ends=np.concatenate([self.ends, ends]), made_by=made)

    def plus(self, operations: Sequence[Operation]) -> Edges:
        """Return the edges with those that operations made, all at once."""
        ends, made_by = _made(self.members, operations)
        return self._replace(
            ends=np.concatenate([self.ends, ends]), made_by=np.append(self.made_by, made_by)
        )

    def and_ever(self, operations: Sequence[Operation]) -> Edges:
        """Return the edges with `ever` of operations, but for those that take back others."""
        made = [each for each in operations if not each.undoes]
        return self._replace(ever=_made(self.members, made)[0])

    def among(self, mask: NDArray[np.bool_]) -> Edges:
        """Return some of the supervoxels and the edges between them."""
        place = np.cumsum(mask) - 1
        inside = mask[self.ends].all(axis=1)
        return Edges(
            self.members[mask],
            place[self.ends[inside]],
            self.made_by[inside],
            place[self.ever[mask[self.ever].all(axis=1)]],
        )

    def within(self, part: Places) -> Edges:
        """Return the edges whose ends are in the same part, given the part of each member."""
        return self.kept(part[self.ends[:, 0]] == part[self.ends[:, 1]])

    def parts(self) -> Places:
        """Return the part of each member that hangs together: the place of one of them."""
        return components(len(self.members), *self.ends.T)

    def apart(self, label: Ids) -> Iterator[tuple[Places, Edges]]:
        """Yield the places of the members with each label, and these members with their edges."""
        order = np.argsort(label, kind="stable")
        starts = np.flatnonzero(np.diff(label[order], prepend=label[order[:1]] + 1))
        group, local = np.empty((2, len(order)), np.int64)
        group[order] = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(order)))
        local[order] = np.arange(len(order)) - starts[group[order]]

        def split(ends: Places) -> list[Places]:
            """Return the rows of the edges within each group."""
            one, other = group[ends.T]
            rows = np.flatnonzero(one == other)
            rows = rows[np.argsort(one[rows], kind="stable")]
            return np.split(rows, np.searchsorted(one[rows], np.arange(1, len(starts))))

        ends, ever = split(self.ends), split(self.ever)
        for places, rows, old in zip(np.split(order, starts[1:]), ends, ever, strict=True):
            members, made_by = self.members[places], self.made_by[rows]
            yield places, Edges(members, local[self.ends[rows]], made_by, local[self.ever[old]])

    def bridge(self, a: int, b: int) -> int:
        """Return the operation that joined two members; 0 if they are apart."""
        places = np.searchsorted(self.members, np.array([a, b], np.uint64))
        for operation in np.unique(self.made_by).tolist():
            part = self.kept(self.made_by <= operation).parts()
            if part[places[0]] == part[places[1]]:
                return int(operation)
        return 0


def lists_of(flat: Ids, sizes: NDArray[np.uint32]) -> Iterator[Ids]:
    """Yield the lists that an operation has one after the other."""
    ends = np.cumsum(sizes, dtype=np.int64)
    for start, stop in pairwise([0, *ends.tolist()]):
        yield flat[start:stop]


def edges_of(members: Ids, operations: Iterable[Operation]) -> Edges:
    """Return the edges between supervoxels after operations.

    A merge makes edges along each of its lists. A patch makes them to the supervoxels that a
    segment gets. A split removes those between its parts, and has edges of its own where a part
    would not hang together otherwise. It leaves edges to supervoxels that were in other segments
    then.

    Parameters
    ----------
    members : numpy.ndarray
        uint64, sorted: the supervoxels.
    operations : iterable of Operation
        Those that count, in their order: neither any that is taken back, nor what took it back.
    """
    edges = Edges(members, NO_ENDS, np.empty(0, np.int64))
    run: list[Operation] = []
    for operation in operations:
        if len(operation.parts):
            edges = edges.plus(run).linked(_links(members, operation.adopts)[0], operation.id)
            edges, run = edges.kept(~_between(edges, operation)), []
            if len(operation.adopts):
                operation = replace(operation, adopts=operation.adopts[:0])
        run.append(operation)
    return edges.plus(run)


def narrowed(members: Ids, operations: Iterable[Operation]) -> list[Operation]:
    """Return operations without the lists that have none of some supervoxels.

    They make the same edges between these. An import has many lists.

    Parameters
    ----------
    members : numpy.ndarray
        uint64, sorted: the supervoxels.
    operations : iterable of Operation
        The operations.
    """
    return [_narrowed(members, each) for each in operations]


def _narrowed(members: Ids, operation: Operation) -> Operation:
    if operation.kind != "import" or not len(members):
        return operation
    order = operation.order
    places = np.searchsorted(operation.supervoxels, members, sorter=order)
    rows = order.take(places, mode="clip")
    rows = rows[operation.supervoxels[rows] == members]
    sizes = operation.sizes.astype(np.int64)
    lists = np.unique(np.searchsorted(np.cumsum(sizes), rows, side="right"))
    starts, sizes = (np.cumsum(sizes) - sizes)[lists], sizes[lists]
    kept = np.repeat(starts - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())
    return replace(operation, supervoxels=operation.supervoxels[kept], sizes=sizes)


def _between(edges: Edges, operation: Operation) -> NDArray[np.bool_]:
    """Return a mask of the edges between parts of a segment that an operation parted."""
    rests, segments = np.unique(operation.rests, return_inverse=True)
    owners = np.repeat(np.arange(len(operation.part_sizes)), operation.part_sizes)
    part, segment = np.full((2, len(edges.members)), -1)
    places, there = _places(edges.members, operation.parts)
    part[places[there]], segment[places[there]] = owners[there], segments[owners[there]]
    places, there = _places(edges.members, operation.facing[:, 1])
    segment[places[there]] = np.searchsorted(rests, operation.facing[there, 0])
    (a, b), (one, other) = part[edges.ends.T], segment[edges.ends.T]
    between: NDArray[np.bool_] = (one == other) & (one >= 0) & (a != b)
    return between


def _made(members: Ids, operations: Sequence[Operation]) -> tuple[Places, NDArray[np.int64]]:
    """Return the ends of the edges that operations made, and which one made each."""
    if not operations:
        return NO_ENDS, np.empty(0, np.int64)
    supervoxels = np.concatenate([each.supervoxels for each in operations])
    sizes = np.concatenate([each.sizes for each in operations]).astype(np.int64)
    numbers = np.array([each.id for each in operations])
    places, there = _places(members, supervoxels)
    chained = there[:-1] & there[1:]
    chained[np.cumsum(sizes)[:-1] - 1] = False
    first = np.flatnonzero(chained)
    made_by = [np.repeat(numbers, [len(each.supervoxels) for each in operations])[first]]
    ends = [np.stack([places[first], places[first + 1]], axis=1)]
    for name in ("adopts", "edges"):
        pairs = [getattr(each, name) for each in operations]
        links, both = _links(members, np.concatenate(pairs))
        ends.append(links)
        made_by.append(np.repeat(numbers, [len(each) for each in pairs])[both])
    return np.concatenate(ends), np.concatenate(made_by)


def _links(members: Ids, pairs: Ids) -> tuple[Places, NDArray[np.bool_]]:
    """Return the places of pairs of which both are in a sorted array, and a mask of these pairs."""
    places, there = _places(members, pairs.ravel())
    both = np.logical_and(*there.reshape(-1, 2).T)
    return places.reshape(-1, 2)[both], both


def _places(members: Ids, ids: Ids) -> tuple[Places, NDArray[np.bool_]]:
    """Return the places of ids in a sorted array, and whether each is there."""
    places = np.searchsorted(members, ids)
    places[places == len(members)] = 0
    there: NDArray[np.bool_] = members[places] == ids
    return places, there
