"""Names of the parts of a segment, that no other segment has."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain, count
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from numpy.typing import NDArray

    from bfly.edits.state import EditState

    Ids = NDArray[np.uint64]

__all__ = ["Names", "is_name"]

AT_ONCE = 256
"""Ids that are looked up at once."""


@dataclass(frozen=True)
class Names:
    """Names to choose from.

    Parameters
    ----------
    fresh : int
        An id from which on no supervoxel has one.
    former : dict
        Supervoxel → name of the segment that it was in before what is taken back.
    given : collection of int
        Names that were given by what is taken back.
    """

    fresh: int
    former: dict[int, int] = field(default_factory=dict)
    given: Collection[int] = ()

    def _formerly_in(self, group: Ids) -> list[int]:
        """Return the supervoxels of a sorted group that have a former name, in their order."""
        ids = np.fromiter(self.former, np.uint64, len(self.former))
        found: list[int] = ids[group.take(np.searchsorted(group, ids), mode="clip") == ids].tolist()
        return found

    def choose(self, state: EditState, groups: Sequence[Ids], taken: Collection[int]) -> list[int]:
        """Return a name for each part of a segment.

        The part with the supervoxel of the segment's name keeps that, unless it is taken back. A
        part gets its former name, or the lowest id of its supervoxels that is free. What is left
        keeps the segment's name if no other part does.

        Parameters
        ----------
        state : EditState
            State before the change.
        groups : sequence of numpy.ndarray
            uint64, sorted: the supervoxels of each part; the last one is what is left.
        taken : collection of int
            Names that other segments get in the same change.
        """
        whole = int(state.segments(groups[-1][:1])[0])
        names: list[int] = []
        for number, group in enumerate(groups):
            former = dict.fromkeys(self.former[each] for each in self._formerly_in(group))
            is_named = _has(group, whole)
            wanted = [
                *[whole] * (is_named and whole not in self.given),
                *former,
                *[whole] * (is_named or number == len(groups) - 1),
                *group.tolist(),
            ]
            free = (
                name
                for name in wanted
                if name not in names
                and name not in taken
                and (name == whole or not is_name(state, name))
            )
            names.append(next(chain(free, self._unused(state, {*names, *taken}))))
        return names

    def _unused(self, state: EditState, taken: Collection[int]) -> Iterator[int]:
        """Yield ids that neither a supervoxel nor a segment has."""
        for start in count(self.fresh, AT_ONCE):
            ids = np.arange(start, start + AT_ONCE, dtype=np.uint64)
            used = {*state.named(ids)[1].tolist(), *taken}
            yield from (number for number in ids.tolist() if number not in used)


def is_name(state: EditState, number: int) -> bool:
    """Return whether an edited segment has a name."""
    return len(state.named(np.array([number], np.uint64))[0]) > 0


def _has(group: Ids, number: int) -> bool:
    place = int(np.searchsorted(group, np.uint64(number)))
    return place < len(group) and int(group[place]) == number
