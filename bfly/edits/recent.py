"""The segments that the latest operations touched, so that most work is known to stay as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from bfly.edits.operation import Operation

    Ids = NDArray[np.uint64]

__all__ = ["Recent"]

MOST = 4096
"""Names that are kept. A check takes microseconds; one of an older state looks at all labels."""


class _Kept(NamedTuple):
    begin: int
    positions: NDArray[np.int64]
    names: Ids


class Recent:
    """Names of the segments that operations touched, as these were named before.

    One thread writes; others may read meanwhile.
    """

    def __init__(self) -> None:
        self.skip(0)

    def add(self, operations: Iterable[Operation]) -> None:
        """Add the operations that follow the last one."""
        begin, positions, names = self._kept
        for operation in operations:
            touched = len(operation.supervoxels) + len(operation.part_sizes)
            is_told = len(operation.was) == touched
            if not is_told or len(operation.was) > MOST:
                begin, positions, names = operation.id, positions[:0], names[:0]
                continue
            own = np.full(len(operation.was), operation.id)
            positions, names = np.append(positions, own), np.append(names, operation.was)
            if len(names) > MOST:
                begin = int(positions[-MOST - 1])
                first = np.searchsorted(positions, begin, side="right")
                positions, names = positions[first:], names[first:]
        # As a whole, since others read.
        self._kept = _Kept(begin, positions, names)

    def skip(self, position: int) -> None:
        """Forget all: what was touched up to an operation is not known."""
        self._kept = _Kept(position, np.empty(0, np.int64), np.empty(0, np.uint64))

    def between(self, first: int, last: int) -> Ids | None:
        """Return the names touched after one operation, up to another; None if unknown."""
        begin, positions, names = self._kept
        if not begin <= first <= last:
            return None
        start, stop = np.searchsorted(positions, (first, last), side="right")
        return names[start:stop]
