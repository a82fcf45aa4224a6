"""Root ids: the id of a segment until an operation changes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bfly.errors import Absent, SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bfly.edits.state import EditState

    Ids = NDArray[np.uint64]

__all__ = ["RootIds"]

FIRSTS = (1 << 32, 1 << 47, 1 << 61)
"""Numbers from which root ids are counted: the first one that is above all labels. With the second
one they fit the doubles of JavaScript."""


STEP = 1 << 32
"""Numbers of a line are below this."""


class RootIds:
    """The root ids of a channel.

    That of a segment that no operation changed is the id of its supervoxel. Others are counted, in
    the order of the operations, from a number above all labels. None is used twice.

    Parameters
    ----------
    largest : int
        The largest label that the channel has, or can have.
    ranges : sequence of tuple of int
        `ChannelEdits.ranges`. The root ids that a branch made are `STEP` times its serial number
        higher, so that no other line has them.
    firsts : sequence of int
        Numbers to count from: the first one above all labels counts.

    Raises
    ------
    SourceError
        A label is so large that no ids are left.

    Attributes
    ----------
    first : int
        A number below all root ids but those of supervoxels, and above all labels.
    """

    def __init__(
        self,
        largest: int,
        ranges: Sequence[tuple[int, int]] = ((0, 0),),
        firsts: Sequence[int] = FIRSTS,
    ) -> None:
        above = [first for first in firsts if first > largest]
        if not above:
            raise SourceError(f"The label {largest} leaves no root ids; allowed is 2^61 - 1.")
        self._largest, self.first = largest, above[0]
        serials, before = np.array(ranges, np.int64).T
        self._before = before
        # What is added to the numbers of each line.
        self._added = self.first + STEP * serials

    def of_line(self, ranges: Sequence[tuple[int, int]]) -> RootIds:
        """Return the root ids of another line of the channel."""
        return RootIds(self._largest, ranges, [self.first])

    def of(self, state: EditState, supervoxels: Ids) -> Ids:
        """Return the root id of the segment of each supervoxel."""
        numbers = state.numbers(supervoxels)
        line = np.searchsorted(self._before, numbers.astype(np.int64)) - 1
        return np.where(numbers > 0, numbers + self._added[line].astype(np.uint64), supervoxels)

    @property
    def last(self) -> int:
        """A number above all root ids."""
        return int(self._added.max()) + STEP

    def of_number(self, number: int) -> int:
        """Return the root id of a number."""
        return number + int(self._added[np.searchsorted(self._before, number) - 1])

    def number(self, root: int) -> int:
        """Return the number of a root id; 0 if it is the id of a supervoxel.

        Raises
        ------
        Absent
            It is one of another branch.
        """
        if root <= self._added[0]:
            return 0
        after = [*self._before[1:].tolist(), STEP]
        for added, first, last in zip(
            self._added.tolist(), self._before.tolist(), after, strict=True
        ):
            number = int(root - added)
            if first < number <= last:
                return number
        raise Absent(f"There is no root {root} here; it may be one of another branch.")
