"""What holds the supervoxels of a segment together: the edges that its operations made."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bfly.edits.components import components
from bfly.edits.patch_store import PatchStore
from bfly.errors import Absent

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from bfly.edits.lineage import Lineage
    from bfly.edits.log import EditLog
    from bfly.edits.operation import Operation
    from bfly.edits.patches import Patch, Patches
    from bfly.edits.replay import Replay
    from bfly.edits.state import EditState
    from bfly.edits.taken_back import TakenBack

    Ids = NDArray[np.uint64]
    Places = NDArray[np.int64]

__all__ = ["Edges", "History", "edges_of", "lists_of", "narrowed"]

NO_ENDS: Any = np.empty((0, 2), np.int64)

KEPT, KEPT_EACH = 64 << 20, 20
"""Bytes of the operations of a channel that are kept in memory, and for each edited supervoxel if
that is more: then those of an import are among them."""


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


class History:
    """What a channel's log says about segments.

    Parameters
    ----------
    path : str
        Path of the channel.
    edit_log : EditLog
        Log of the process.
    replay : Replay
        The log, applied.
    """

    def __init__(self, path: str, edit_log: EditLog, replay: Replay) -> None:
        self._path, self._log, self._replay = path, edit_log, replay
        self._kept: OrderedDict[int, Operation] = OrderedDict()
        self._bytes = 0
        self._reading = threading.Lock()

    @property
    def lineage(self) -> Lineage:
        """The root ids that each operation made and replaced."""
        return self._replay.lineage

    @property
    def taken_back(self) -> TakenBack:
        """The operations that others took back."""
        return self._replay.taken_back

    @property
    def undone(self) -> dict[int, int]:
        """Operation that is taken back → the operation that did so."""
        return self.taken_back.by

    def patches(self) -> list[Patch]:
        """Return all patches in their order, also those that are taken back."""
        return self._replay.patches.made()

    def patches_at(self, operation: int) -> Patches:
        """Return the patches that counted after an operation."""
        taken_back = self._replay.taken_back.until(operation)
        return PatchStore.of(self.patches(), operation, taken_back).view()

    def toggled(self, taken: set[int]) -> tuple[list[Patch], list[Patch]]:
        """Return the patches that do not count once operations are taken back, and that do again.

        Parameters
        ----------
        taken : set of int
            The operations.
        """
        leaving: list[Patch] = []
        returning: list[Patch] = []
        counts = self._replay.taken_back.counts
        reached = self._replay.taken_back.reached(taken)
        for patch in self._replay.patches.some(reached):
            if counts(patch.number) != counts(patch.number, taken):
                (leaving if counts(patch.number) else returning).append(patch)
        return leaving, returning

    def keyed(self, who: str, key: str) -> int:
        """Return the latest operation of an author with a key; 0 if none is remembered."""
        return self._replay.keys.get((who, key), 0)

    def all_keyed(self, key: str) -> list[Operation]:
        """Return the operations with a key that ends with the latest of them, of any authors."""
        found = [number for (_, other), number in self._replay.keys.items() if other == key]
        numbers = range(min(found, default=1), max(found, default=0) + 1)
        return [each for each in self.operations(numbers) if each.key == key]

    def is_last(self, operation: int) -> bool:
        """Return whether no later operation changed a segment that an operation made."""
        return not self.lineage.later(self.lineage.made(operation))

    def first_number(self, supervoxel: int) -> int:
        """Return the number of the first edited segment of a supervoxel; 0 if it is unedited.

        The operation that first changes a supervoxel names it.
        """
        one = np.array([supervoxel], np.uint64)
        led = self.lineage.operations_of(self._replay.state().numbers(one).tolist())
        for operation in self.operations(led):
            places = np.flatnonzero(operation.supervoxels == one)
            if len(places):
                ends = np.cumsum(operation.sizes, dtype=np.int64)
                owner = int(np.searchsorted(ends, places[-1], side="right"))
                return self.lineage.made(operation.id)[len(operation.part_names) + owner]
            rests = list(dict.fromkeys(operation.rests.tolist()))
            if supervoxel in rests:
                place = len(operation.part_sizes) + rests.index(supervoxel)
                return self.lineage.made(operation.id)[place]
        return 0

    def operations(self, numbers: Iterable[int]) -> list[Operation]:
        """Return operations by their numbers, in ascending order.

        Raises
        ------
        Absent
            There is no such operation.
        DatabaseError
            The log cannot be read.
        """
        wanted = sorted(set(numbers))
        last = self._replay.position
        if unknown := [number for number in wanted if not 0 < number <= last]:
            raise Absent(f"There is no operation {unknown[0]}; the last one is {last}.")
        with self._reading:
            kept = [number for number in wanted if number in self._kept]
            for number in kept:
                self._kept.move_to_end(number)
            lacking = [number for number in wanted if number not in self._kept]
            for operation in self._log.get(self._path, lacking):
                self._kept[operation.id] = operation
                self._bytes += operation.nbytes
            found = [self._kept[number] for number in wanted]
            most = max(KEPT, KEPT_EACH * self._replay.forest.count)
            while self._bytes > most and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return found

    def edges(self, members: Ids, numbers: Iterable[int], taken: Container[int] = ()) -> Edges:
        """Return the edges between supervoxels; raises as `operations`.

        Parameters
        ----------
        members : numpy.ndarray
            uint64, sorted: the supervoxels.
        numbers : iterable of int
            Numbers of their segments.
        taken : container of int
            Operations to take back besides; see `TakenBack.counts`.
        """
        led = self.operations(self.lineage.operations_of(numbers))
        edges = edges_of(members, self.that_count(led, taken))
        return edges.and_ever(led)

    def that_count(
        self, operations: Iterable[Operation], taken: Container[int] = ()
    ) -> list[Operation]:
        """Return the operations that count, but for those that take back others."""
        counts = self._replay.taken_back.counts
        return [each for each in operations if not each.undoes and counts(each.id, taken)]

    def segment(self, state: EditState, supervoxel: int) -> Edges:
        """Return the segment of a supervoxel, and its edges; raises as `operations`."""
        numbers = state.numbers(np.array([supervoxel], np.uint64)).tolist()
        return self.edges(state.segment_of(supervoxel), numbers)
