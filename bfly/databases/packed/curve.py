"""Positions along a Morton curve: Morton numbers, and their ranges that cover a box.

A Morton number interleaves the bits of z, y and x, so that cells near along the curve are
near in the volume (G. M. Morton, "A computer oriented geodetic data base", IBM 1966).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.geometry import Zyx, zyx

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bfly.geometry import BoundingBox

__all__ = ["Curve"]

BITS = 21
"""Bits per axis; three axes make a number of 63 bits."""

HALFWAY, TOP = 1 << BITS - 1, (1 << BITS) - 1
"""Coordinate of the cell of voxel 0, and of the last cell, on each axis."""

HALF = 11
"""Bits of a coordinate that `SPREAD` maps at once; two lookups cover `BITS`."""

MARGIN = 2
"""Bits by which a dataset may grow before its positions leave the cells of the curve."""

FLATTEST = 4
"""Maximum difference in bits between the cell sizes of two axes. Sections are up to ten times
thicker than a pixel is wide, and a volume may be flatter still."""

SECTIONS = 0, 3, 3
"""Default cell shift without synapses: one section thick and eight pixels wide."""


def _spread() -> NDArray[np.uint64]:
    values = np.arange(1 << HALF, dtype=np.uint64)
    result = np.zeros_like(values)
    for bit in range(HALF):
        result |= (values >> np.uint64(bit) & np.uint64(1)) << np.uint64(3 * bit)
    return result


SPREAD = _spread()
"""Table from a number of `HALF` bits to the same bits with two zeros before each."""

LISTED: list[int] = SPREAD.tolist()
"""`SPREAD` as a Python list, which is faster for fewer than a hundred numbers."""


def spread(values: Any, table: Any) -> Any:
    """Put two zeros before each bit of coordinates from 0 to 2^21 - 1; `table` is like `SPREAD`."""
    return table[values & (1 << HALF) - 1] | table[values >> HALF] << 3 * HALF


@dataclass(frozen=True)
class Curve:
    """Morton curve through a volume.

    Parameters
    ----------
    shift : tuple of int
        The cells have 2^shift voxels (z, y, x). There are 2^21 cells per axis, centred on
        voxel 0. Cells at the rim also hold all positions beyond it.
    """

    shift: Zyx

    @classmethod
    def fit(cls, points: Sequence[NDArray[np.int64]]) -> Curve:
        """Choose the cells for a volume from a sample of its positions, z, y and x.

        Cells are as flat as the volume, so that they divide all axes.
        """
        if not len(points[0]):
            return cls(SECTIONS)
        low, high = np.percentile(points, [0.1, 99.9], axis=1, method="nearest").tolist()
        extents = [(b - a + 1).bit_length() for a, b in zip(low, high, strict=True)]
        reach = [max(-a, b, 1).bit_length() for a, b in zip(low, high, strict=True)]
        flat = [min(bits - min(extents), FLATTEST) for bits in extents]
        more = max(r + MARGIN - (BITS - 1) - f for r, f in zip(reach, flat, strict=True))
        return cls(zyx(f + max(0, more) for f in flat))

    def numbers(self, z: NDArray[Any], y: NDArray[Any], x: NDArray[Any]) -> NDArray[np.uint64]:
        """Return the Morton numbers of the cells of voxels."""
        # `numpy.clip` takes three times as long for the few rows of a pack.
        z, y, x = (
            spread(np.minimum(np.maximum((axis >> s) + HALFWAY, 0), TOP), SPREAD)
            for axis, s in zip((z, y, x), self.shift, strict=True)
        )
        result: NDArray[np.uint64] = z << 2 | y << 1 | x
        return result

    def ranges(self, box: BoundingBox, most: int) -> list[tuple[int, int]]:
        """Return ranges of Morton numbers that cover all cells of a box, and some around it.

        Parameters
        ----------
        box : BoundingBox
            In voxels.
        most : int
            Maximum number of cubes that cover the box, a few dozen. Adjacent cubes are
            merged into one range.

        Returns
        -------
        list of (int, int)
            The first and the last number of each range, ascending.
        """
        if not box.size:
            return []
        corners = [
            (min(max((a >> s) + HALFWAY, 0), TOP), min(max((b - 1 >> s) + HALFWAY, 0), TOP))
            for a, b, s in zip(box.start, box.stop, self.shift, strict=True)
        ]
        # Below this level the longest axis alone exceeds `most` cubes.
        level = max(0, max(b - a for a, b in corners).bit_length() - most.bit_length())
        while prod((b >> level) - (a >> level) + 1 for a, b in corners) > most:
            level += 1
        z, y, x = (
            [spread(cube, LISTED) for cube in range(a >> level, (b >> level) + 1)]
            for a, b in corners
        )
        cubes = sorted([i << 2 | j << 1 | k for i in z for j in y for k in x])
        gaps = [(a, b) for a, b in pairwise(cubes) if b > a + 1]
        begins, ends = [cubes[0], *(b for _, b in gaps)], [*(a for a, _ in gaps), cubes[-1]]
        bits = 3 * level
        return [(a << bits, (b + 1 << bits) - 1) for a, b in zip(begins, ends, strict=True)]

    def keys(self, box: BoundingBox, most: int) -> list[tuple[bytes, bytes]]:
        """Return `ranges` as big-endian bytes."""
        return [(a.to_bytes(8, "big"), b.to_bytes(8, "big")) for a, b in self.ranges(box, most)]
