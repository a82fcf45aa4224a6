"""The segments that the latest operations touched, so that most work is known to stay as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bfly.edits.operation import Operation

    Ids = NDArray[np.uint64]

__all__ = ["Recent"]

MOST = 4096
"""Names that are kept. A check takes microseconds; one of an older state looks at all labels."""


NOTHING: tuple[Any, Any] = (np.empty(0, np.int64), np.empty(0, np.uint64))


class _Kept(NamedTuple):
    begin: int
    positions: NDArray[np.int64]
    names: Ids


class Recent:
    """Names of the segments that operations touched, as these were named before.

    One thread writes; others may read meanwhile.
    """

    def __init__(self) -> None:
        self._kept = _Kept(0, *NOTHING)

    def add(self, operations: Sequence[Operation]) -> None:
        """Add the operations that follow the last one."""
        begin, *latest = self._kept
        told, count = [], 0
        for operation in reversed(operations):
            touched = len(operation.supervoxels) + len(operation.part_sizes)
            count += touched
            if len(operation.was) != touched or count > MOST:
                begin, latest = operation.id, [*NOTHING]
                break
            told.append((np.full(touched, operation.id), operation.was))
        columns = zip(latest, *reversed(told), strict=True)
        positions, names = (np.concatenate(column) for column in columns)
        if len(names) > MOST:
            begin = int(positions[-MOST - 1])
            first = np.searchsorted(positions, begin, side="right")
            positions, names = positions[first:], names[first:]
        # As a whole, since others read.
        self._kept = _Kept(begin, positions, names)

    def skip(self, position: int) -> None:
        """Forget all: what was touched up to an operation is not known."""
        self._kept = _Kept(position, *NOTHING)

    def between(self, first: int, last: int) -> Ids | None:
        """Return the names touched after one operation, up to another; None if unknown."""
        begin, positions, names = self._kept
        if not begin <= first <= last:
            return None
        start, stop = np.searchsorted(positions, (first, last), side="right")
        return names[start:stop]
