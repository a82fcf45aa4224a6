"""Root ids: the id of a segment until an operation changes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bfly.errors import SourceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.edits.state import EditState

    Ids = NDArray[np.uint64]

__all__ = ["RootIds"]

FIRSTS = (1 << 32, 1 << 47, 1 << 61)
"""Numbers from which root ids are counted: the first one that is above all labels. With the second
one they fit the doubles of JavaScript."""


class RootIds:
    """The root ids of a channel.

    That of a segment that no operation changed is the id of its supervoxel. Others are counted, in
    the order of the operations, from a number above all labels. None is used twice.

    Parameters
    ----------
    largest : int
        The largest label that the channel has, or can have.

    Raises
    ------
    SourceError
        A label is so large that no ids are left.

    Attributes
    ----------
    first : int
        A number below all root ids but those of supervoxels, and above all labels.
    """

    def __init__(self, largest: int) -> None:
        above = [first for first in FIRSTS if first > largest]
        if not above:
            raise SourceError(f"The label {largest} leaves no root ids; allowed is 2^61 - 1.")
        self.first = above[0]

    def of(self, state: EditState, supervoxels: Ids) -> Ids:
        """Return the root id of the segment of each supervoxel."""
        numbers = state.numbers(supervoxels)
        return np.where(numbers > 0, numbers + np.uint64(self.first), supervoxels)

    def of_number(self, number: int) -> int:
        """Return the root id of a number."""
        return self.first + number

    def number(self, root: int) -> int:
        """Return the number of a root id; 0 if it is the id of a supervoxel."""
        return max(0, root - self.first)
