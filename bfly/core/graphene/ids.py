"""Ids of graphene: the top bits of an id say whether it is a supervoxel or a segment.

Clients call these bits the layer: 1 is a supervoxel, 2 the segment at one moment, its root. Nothing
else of an id counts. A root is above all supervoxels, since Neuroglancer takes the largest of equal
ids for the segment's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bfly.core.root_ids import RootIds
from bfly.errors import Absent, SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bfly.edits.state import EditState

    Ids = NDArray[np.uint64]

__all__ = ["LAYERS", "GrapheneIds"]

LAYERS = 2

WIDTHS = (40, 48)
"""Bits below the layer: the first ones that leave a bit above all labels. With these, all ids fit
the doubles of JavaScript."""

MOST_BITS = 61
"""CAVEclient reads ids as int64: with two bits of layer before it, a root fits."""


class GrapheneIds:
    """The ids of a channel as graphene clients see them.

    A supervoxel is ``2^bits + label``. The root of a segment that no operation changed is
    ``2·2^bits + label``, and that of others ``2·2^bits`` more than one of `RootIds`, which are
    counted from ``2^(bits - 1)``.

    Parameters
    ----------
    largest : int
        The largest label that the channel has, or can have.
    ranges : sequence of tuple of int
        `ChannelEdits.ranges`.

    Attributes
    ----------
    bits : int
        Bits below the layer.

    Raises
    ------
    SourceError
        A label is so large that no ids are left.
    """

    def __init__(self, largest: int, ranges: Sequence[tuple[int, int]] = ((0, 0),)) -> None:
        fitting = [bits for bits in WIDTHS if largest >> (bits - 1) == 0]
        self.bits = fitting[0] if fitting else largest.bit_length() + 1
        if self.bits > MOST_BITS:
            raise SourceError(
                f"The label {largest} leaves no ids for graphene; allowed is "
                f"{(1 << MOST_BITS - 1) - 1}."
            )
        self.supervoxel = 1 << self.bits
        """The id of supervoxel 0, if there were one."""
        self.root = 2 << self.bits
        """The root of an unedited supervoxel is its label more."""
        self._roots = RootIds(largest, ranges, [1 << self.bits - 1])
        if self._roots.last > self.supervoxel:
            raise SourceError("There are too many branches for the ids of graphene.")

    @property
    def layer_bits(self) -> int:
        """Bits of the layer."""
        return 64 - self.bits

    def tagged(self, labels: Ids) -> Ids:
        """Return supervoxels as clients see them; 0 stays 0."""
        return np.where(labels > 0, labels + np.uint64(self.supervoxel), labels)

    def roots(self, state: EditState, labels: Ids) -> Ids:
        """Return the root of the segment of each supervoxel (a label); 0 for 0."""
        roots = self._roots.of(state, labels) + np.uint64(self.root)
        return np.where(labels > 0, roots, labels)

    def of_number(self, number: int) -> int:
        """Return the root of a number."""
        return self.root + self._roots.of_number(number)

    def is_root(self, given: int) -> bool:
        """Return whether an id is on the layer of roots."""
        return given >> self.bits in (2, 3)

    def number(self, root: int) -> int:
        """Return the number of a root; 0 if it is that of an unedited segment.

        Raises
        ------
        Absent
            It is one of another branch.
        """
        return self._roots.number(root - self.root)

    def label(self, given: int) -> int:
        """Return the label of a supervoxel, of an unedited root, or of a label as it is stored.

        Raises
        ------
        Absent
            It is none of them.
        """
        label = given & (self.supervoxel - 1)
        if not 0 < given < 3 << self.bits or not 0 < label < 1 << self.bits - 1:
            raise Absent(f"There is no supervoxel or root {given}.")
        return label

    def labels(self, given: Ids) -> Ids:
        """Return the label of each id that `label` takes, and 0 for others."""
        low = given & np.uint64(self.supervoxel - 1)
        is_one = (given < np.uint64(3 << self.bits)) & (low < np.uint64(1 << self.bits - 1))
        return np.where(is_one, low, np.uint64(0))
