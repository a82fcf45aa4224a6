"""Names of the parts of a segment, that no other segment has."""

from __future__ import annotations

from itertools import chain, count
from typing import TYPE_CHECKING, Protocol

import numpy as np
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from numpy.typing import NDArray

    from bfly.edits.state import EditState

    Ids = NDArray[np.uint64]

__all__ = ["Names", "Naming", "is_name", "unused"]

AT_ONCE = 256
"""Ids that are looked up at once."""


class Naming(Protocol):
    """What names the parts of a segment."""

    def choose(self, state: EditState, groups: Sequence[Ids], taken: Collection[int]) -> list[int]:
        """Return a name for each part of a segment.

        Parameters
        ----------
        state : EditState
            State before the change.
        groups : sequence of numpy.ndarray
            uint64, sorted: the supervoxels of each part; the last one is what is left.
        taken : collection of int
            Names that other segments get in the same change.
        """
        ...


class Names(Naming):
    """Names from the ids of supervoxels.

    The part with the supervoxel of the segment's name keeps that. Another part gets the lowest id
    of its supervoxels that is free. What is left keeps the segment's name if no other part does.

    Parameters
    ----------
    fresh : int
        An id from which on no supervoxel has one.
    """

    def __init__(self, fresh: int) -> None:
        self._fresh = fresh

    @override
    def choose(self, state: EditState, groups: Sequence[Ids], taken: Collection[int]) -> list[int]:
        whole = int(state.segments(groups[-1][:1])[0])
        names: list[int] = []
        new = unused(state, self._fresh)
        for number, group in enumerate(groups):
            is_whole = _has(group, whole) or number == len(groups) - 1
            ids = (each for each in group.tolist() if each == whole or not is_name(state, each))
            wanted = chain([whole] * is_whole, ids, new)
            names.append(next(e for e in wanted if e not in names and e not in taken))
        return names


def unused(state: EditState, fresh: int) -> Iterator[int]:
    """Yield ids from one on that neither a supervoxel nor a segment has."""
    for start in count(fresh, AT_ONCE):
        ids = np.arange(start, start + AT_ONCE, dtype=np.uint64)
        used = set(state.named(ids)[1].tolist())
        yield from (number for number in ids.tolist() if number not in used)


def is_name(state: EditState, number: int) -> bool:
    """Return whether an edited segment has a name."""
    return len(state.named(np.array([number], np.uint64))[0]) > 0


def _has(group: Ids, number: int) -> bool:
    place = int(np.searchsorted(group, np.uint64(number)))
    return place < len(group) and int(group[place]) == number
