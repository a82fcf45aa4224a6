"""Where what a branch did stands against what was done since on the line that it is merged into."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bfly.edits.edges import lists_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from bfly.edits.channel import ChannelEdits
    from bfly.edits.edges import Edges
    from bfly.edits.operation import Operation
    from bfly.edits.state import EditState

    Ids = NDArray[np.uint64]
    Colours = NDArray[np.int64]

__all__ = ["NO_COLOUR", "Contradiction", "bridges", "coloured", "pairs_of", "parted_since"]

NO_COLOUR = -1


class Contradiction(NamedTuple):
    """An operation of a branch that others stand against.

    Parameters
    ----------
    operation : Operation
        That of the branch.
    others : tuple of int
        Operations of the line that it is merged into.
    supervoxels : tuple of int
        Two supervoxels that one side joins, and the other keeps apart.
    reason : str
        What is wrong, for users.
    can_win : bool
        Whether the branch's operation can be done in spite of the others.
    """

    operation: Operation
    others: tuple[int, ...]
    supervoxels: tuple[int, ...]
    reason: str
    can_win: bool = True


def pairs_of(operation: Operation) -> Ids:
    """Return the neighbours in the lists that an operation joined, shape (n, 2)."""
    lists = lists_of(operation.supervoxels, operation.sizes)
    pairs = [pair for each in lists for pair in pairwise(each.tolist())]
    return np.array(pairs, np.uint64).reshape(-1, 2)


def parted_since(
    pairs: Ids, others: Sequence[Operation], line: ChannelEdits
) -> tuple[Operation, tuple[int, int]] | None:
    """Return an operation that parted one of some pairs, and the pair; None if none did.

    Parameters
    ----------
    pairs : numpy.ndarray
        uint64 of shape (n, 2).
    others : sequence of Operation
        The operations.
    line : ChannelEdits
        The line that they are of.
    """
    for other in others:
        listed = np.isin(pairs, other.parts).any(axis=1)
        for a, b in pairs[listed].tolist():
            if _parts(other, a, b, line):
                return other, (a, b)
    return None


def _parts(operation: Operation, a: int, b: int, line: ChannelEdits) -> bool:
    first, second = _part_of(operation, a), _part_of(operation, b)
    if first == second:
        return False
    if NO_COLOUR not in (first, second):
        return bool(operation.rests[first] == operation.rests[second])
    rest = operation.rests[max(first, second)]
    other = b if second == NO_COLOUR else a
    names = line.at(operation.id).segments(np.array([rest, other], np.uint64))
    return bool(names[0] == names[1])


def _part_of(operation: Operation, supervoxel: int) -> int:
    place = np.flatnonzero(operation.parts == np.uint64(supervoxel))
    if not len(place):
        return NO_COLOUR
    ends = np.cumsum(operation.part_sizes, dtype=np.int64)
    return int(np.searchsorted(ends, place[0], side="right"))


def coloured(operation: Operation, after: EditState) -> tuple[Ids, Colours]:
    """Return the supervoxels of a segment that an operation parted, sorted, and the part of each.

    Parameters
    ----------
    operation : Operation
        It parts segments, and joins none.
    after : EditState
        The state after it.
    """
    parts = list(lists_of(operation.parts, operation.part_sizes))
    rests = [after.segment_of(rest) for rest in dict.fromkeys(operation.rests.tolist())]
    everything = [*parts, *rests]
    supervoxels = np.concatenate(everything)
    colours = np.repeat(np.arange(len(everything)), [len(each) for each in everything])
    order = np.argsort(supervoxels)
    return supervoxels[order], colours[order]


def bridges(edges: Edges, colours: Colours) -> Iterator[tuple[int, int, int]]:
    """Yield what joins members of different colours: an operation, and two of the members.

    The edges between members of different colours do not count. Each operation is yielded only if
    those before it are left out.

    Parameters
    ----------
    edges : Edges
        A segment.
    colours : numpy.ndarray
        int64, the colour of each member; `NO_COLOUR` for those that have none.
    """
    left = edges
    while True:
        found = _bridge(left, colours)
        if found is None:
            return
        yield found
        is_free = (colours[left.ends] == NO_COLOUR).any(axis=1)
        left = left.kept(~(is_free & (left.made_by == found[0])))


def _bridge(edges: Edges, colours: Colours) -> tuple[int, int, int] | None:
    if not (clash := _clash(edges, colours)):
        return None
    operations = np.unique(edges.made_by).tolist()
    low, high = 0, len(operations) - 1
    while low < high:
        middle = (low + high) // 2
        earlier = _clash(edges.kept(edges.made_by <= operations[middle]), colours)
        if earlier:
            high, clash = middle, earlier
        else:
            low = middle + 1
    return (operations[low], *clash)


def _clash(edges: Edges, colours: Colours) -> tuple[int, int] | None:
    """Return two members of different colours that hang together."""
    part, has_one = edges.parts(), np.flatnonzero(colours != NO_COLOUR)
    order = has_one[np.lexsort((colours[has_one], part[has_one]))]
    same = part[order[1:]] == part[order[:-1]]
    wrong = np.flatnonzero(same & (colours[order[1:]] != colours[order[:-1]]))
    if not len(wrong):
        return None
    return int(edges.members[order[wrong[0]]]), int(edges.members[order[wrong[0] + 1]])
