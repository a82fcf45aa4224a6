"""Names of the segments that an undo leaves: those from before what is taken back."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from bfly.edits.part_names import unused

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from bfly.edits.state import EditState

    Ids = NDArray[np.uint64]
    Places = NDArray[np.int64]
    Mask = NDArray[np.bool_]

__all__ = ["Pieces", "UndoNames"]


class Pieces:
    """What the segments of a state consist of: what stays together, and then comes together.

    Parameters
    ----------
    members : numpy.ndarray
        uint64, sorted: the supervoxels of some segments.
    names, numbers : numpy.ndarray
        Name and number of the segment of each, before.
    part : numpy.ndarray
        int64, of each member: the same for those that are in one segment afterwards.

    Attributes
    ----------
    members, names, numbers, part : numpy.ndarray
        As above.
    heads : numpy.ndarray
        int64: the place of the lowest member of each piece. The pieces of a later segment come
        one after the other.
    starts : numpy.ndarray
        int64: the first piece of each later segment.
    parted, largest : numpy.ndarray
        bool of each piece: whether its segment has others, and whether it is the largest of them.
    """

    def __init__(self, members: Ids, names: Ids, numbers: Ids, part: Places) -> None:
        self.members, self.names, self.numbers, self.part = members, names, numbers, part
        self._order = np.lexsort((numbers, part))
        by_part, number = part[self._order], numbers[self._order]
        is_other = by_part[1:] != by_part[:-1]
        begins = np.append(True, is_other | (number[1:] != number[:-1]))[: len(members)]
        first = np.flatnonzero(begins)
        self._ends: list[int] = [*first.tolist(), len(members)]
        self.heads: Places = self._order[first]
        self.starts: Places = np.flatnonzero(np.append(True, is_other)[first])
        own = numbers[self.heads]
        _, inverse, count = np.unique(own, return_inverse=True, return_counts=True)
        self.parted: Mask = count[inverse] > 1
        sizes = np.diff(self._ends)
        order = np.lexsort((-members[self.heads].astype(np.int64), sizes, own))
        self.largest: Mask = np.zeros(len(own), bool)
        self.largest[order] = np.append(own[order][1:] != own[order][:-1], True)[: len(own)]

    def places(self, first: int, stop: int) -> Places:
        """Return the places of the members of consecutive pieces, in ascending order."""
        return np.sort(self._order[self._ends[first] : self._ends[stop]])

    def has(self, names: Ids) -> Mask:
        """Return whether the later segment of each piece has a supervoxel, one for each piece."""
        places = np.searchsorted(self.members, names)
        places[places == len(self.members)] = 0
        is_own: Mask = self.part[places] == self.part[self.heads]
        is_own &= self.members[places] == names
        return is_own


class UndoNames:
    """Names of the segments after an undo.

    A segment that stays keeps its name, and a part that has the supervoxel of its segment's name
    keeps that, unless what is taken back gave it. Others get the name that one of their
    supervoxels had before, or the lowest id of a supervoxel that is free, or one that nothing has.

    Parameters
    ----------
    state : EditState
        State before the undo.
    pieces : Pieces
        The segments that change.
    former : mapping
        Supervoxel → name of the segment that it was in before what is taken back.
    given : collection of int
        Names that were given by what is taken back.
    tables : collection of int or None
        Names that imported tables gave. A segment with another name that is not an id of its
        supervoxels has that for want of a free one, and gets one now. If None, it keeps it.
    fresh : int
        An id from which on no supervoxel has one.

    Attributes
    ----------
    names : list of int
        The name of each later segment.
    renamed : numpy.ndarray
        bool: whether each piece is in a segment with another name afterwards.
    """

    def __init__(
        self,
        state: EditState,
        pieces: Pieces,
        former: Mapping[int, int],
        given: Collection[int],
        tables: Collection[int] | None,
        fresh: int,
    ) -> None:
        self._state, self._pieces = state, pieces
        self._has_former = np.isin(pieces.members, np.fromiter(former, np.uint64, len(former)))
        self._former, self._given = former, given
        self._bounds: list[int] = [*pieces.starts.tolist(), len(pieces.heads)]
        self._old = pieces.names[pieces.heads]
        self._named = pieces.has(self._old)
        self._elsewhere = self._held_elsewhere()
        self._taken: set[int] = set()
        self._fresh, self._new = fresh, unused(state, fresh)
        self.names = self._chosen()
        if tables is not None:
            self._restore(tables)
        # Pieces that come together are never seen with names of their own.
        repeated = self._repeated()
        self.renamed: Mask = repeated != self._old
        heads = pieces.members[pieces.heads].tolist()
        self._of_head = dict(zip(heads, repeated.tolist(), strict=True))

    def choose(self, state: EditState, groups: Sequence[Ids], taken: Collection[int]) -> list[int]:
        """Return the name of each part of a segment; see `Naming`."""
        return [self._of_head[int(group[0])] for group in groups]

    def _held_elsewhere(self) -> set[int]:
        """Return the names among all that are wanted which segments that do not change have."""
        pieces = self._pieces
        known = np.array([*self._former.values(), *self._given], np.uint64)
        self._known = np.union1d(known, pieces.names)
        one, names = self._state.named(np.union1d(pieces.members, self._known))
        is_other = np.isin(self._state.numbers(one), pieces.numbers, invert=True)
        return set(names[is_other].tolist())

    def _chosen(self) -> list[int]:
        names = [0] * (len(self._bounds) - 1)
        # What has a right to a name comes before what takes any that is left.
        tiers = (self._kept, self._own, self._wished, self._possible, lambda _: self._new)
        for wanted in tiers:
            for place, name in enumerate(names):
                if not name:
                    names[place] = self._first_free(wanted(place))
        return names

    def _first_free(self, wanted: Iterable[int]) -> int:
        return next((name for name in wanted if self._take(name)), 0)

    def _take(self, name: int) -> bool:
        """Return whether a name is free, and take it."""
        if name in self._taken or name in self._elsewhere:
            return False
        self._taken.add(name)
        return True

    def _is_joined(self, place: int) -> bool:
        first, stop = self._bounds[place : place + 2]
        return stop - first > 1

    def _kept(self, place: int) -> Iterator[int]:
        """Yield the name of a segment that is as it was, unless it was given."""
        piece, name = self._bounds[place], int(self._old[self._bounds[place]])
        if not self._is_joined(place) and not self._pieces.parted[piece]:
            yield from [name] * (name not in self._given)

    def _own(self, place: int) -> Iterator[int]:
        """Yield the name of the segment that is parted, and former ones, if they are own ids."""
        piece, name = self._bounds[place], int(self._old[self._bounds[place]])
        if not self._is_joined(place) and self._named[piece] and name not in self._given:
            yield name
        own = self._pieces.members[self._places(place)]
        for each in self._wished(place):
            if own[min(int(np.searchsorted(own, np.uint64(each))), len(own) - 1)] == each:
                yield each

    def _wished(self, segment: int) -> Iterator[int]:
        """Yield the former names."""
        places = self._places(segment)
        for place in places[self._has_former[places]].tolist():
            yield self._former[int(self._pieces.members[place])]

    def _possible(self, place: int) -> Iterator[int]:
        """Yield the names of segments that are joined or parted, and ids of the supervoxels."""
        first, stop = self._bounds[place : place + 2]
        if self._is_joined(place):
            yield from self._old[first:stop].tolist()
        elif self._named[first] or (
            self._pieces.largest[first] and int(self._old[first]) not in self._given
        ):
            yield int(self._old[first])
        yield from self._pieces.members[self._places(place)].tolist()

    def _places(self, place: int) -> Places:
        return self._pieces.places(*self._bounds[place : place + 2])

    def _repeated(self) -> Ids:
        """Return the name of the later segment of each piece."""
        return np.repeat(np.array(self.names, np.uint64), np.diff(self._bounds))

    def _restore(self, tables: Collection[int]) -> None:
        """Name a segment by one of its own supervoxels, if its name is that of another segment's.

        Names that a table gave stay.
        """
        own = self._pieces.has(self._repeated())[self._pieces.starts].tolist()
        foreign = {
            place: name
            for place, (name, is_own) in enumerate(zip(self.names, own, strict=True))
            if not is_own and name not in tables
        }
        self._taken.difference_update(foreign.values())
        for place, name in foreign.items():
            members = self._pieces.members[self._places(place)].tolist()
            kept = [name] * (name >= self._fresh)  # no supervoxel will want it
            self.names[place] = self._first_free(chain(members, kept, self._new))

    def freed(self) -> Ids:
        """Return the names from before or after what is taken back that no segment has now."""
        used = np.array([*self._taken, *self._elsewhere], np.uint64)
        left: Ids = np.setdiff1d(self._known, used)
        return left
