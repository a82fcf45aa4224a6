"""Grid of cells over points in memory: a box query visits only the cells it touches."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.geometry import zyx
from bfly.tables.columns import POINT, inside

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bfly.geometry import BoundingBox

__all__ = ["Grid", "joined"]

PER_CELL = 64
"""Mean points per cell: a balance of points to filter against cells to visit."""

BITS = 20
FIELD = BITS + 1
FREE = 1 << BITS | 1 << BITS + FIELD | 1 << BITS + 2 * FIELD
"""Free bits of a word. A point is a 64-bit word with `BITS` bits and one free bit per axis, so that
one subtraction compares all three axes (L. Lamport, "Multiple byte processing with full-word
instructions", CACM 1975). The word holds only the upper bits of a longer axis."""

MORE = 1 / 2, 1 / 2, 4
"""Factor of the number of cells along z, y and x. Cells with the same z and y form one run, so more
cells along x mean fewer runs."""


class Grid:
    """Points sorted by grid cell.

    Cells have the proportions of the bounding box of all points, changed by `MORE`.

    Parameters
    ----------
    points : sequence of numpy.ndarray
        z, y and x of N points, int64, voxels.

    Attributes
    ----------
    order : numpy.ndarray
        (N,), intp: indices of the points in the order of their cells.
    """

    def __init__(self, points: Sequence[NDArray[np.int64]]) -> None:
        self._points = points
        ends = [(int(p.min()), int(p.max())) if len(p) else (0, 0) for p in points]
        self._low = [low for low, _ in ends]
        self._reach = [high - low for low, high in ends]
        wanted = (len(points[0]) / PER_CELL) ** (1 / 3)
        # At least two cells per axis: 2^64 voxels, the widest reach, do not fit 64 bits.
        self._side = [
            reach // max(2, round(wanted * more)) + 1
            for reach, more in zip(self._reach, MORE, strict=True)
        ]
        self._shape = zyx(r // side + 1 for r, side in zip(self._reach, self._side, strict=True))
        self._shift = zyx(max(0, reach.bit_length() - BITS) for reach in self._reach)
        # Unsigned, since the difference of two coordinates may exceed int64.
        offsets = [(p - low).view(np.uint64) for p, low in zip(points, self._low, strict=True)]
        z, y, x = (offset // side for offset, side in zip(offsets, self._side, strict=True))
        cells = (z * self._shape[1] + y) * self._shape[2] + x
        self.order = np.argsort(cells, kind="stable")
        numbers = np.arange(prod(self._shape) + 1, dtype=np.uint64)
        self._starts: list[int] = np.searchsorted(cells[self.order], numbers).tolist()
        self._words = self._word(offsets)[self.order] | FREE

    def _word(self, offsets: Sequence[Any]) -> Any:
        """Put offsets on the three axes, numbers or arrays, into words."""
        (z, y, x), (k, j, i) = offsets, self._shift
        return z >> k << 2 * FIELD | y >> j << FIELD | x >> i

    def _corners(self, box: BoundingBox) -> list[tuple[int, int]]:
        """Return the offsets of the first and last voxel of a box, cut to the points."""
        axes = zip(box.start, box.stop, self._low, self._reach, strict=True)
        return [(max(a - low, 0), min(b - 1 - low, reach)) for a, b, low, reach in axes]

    def about(self, box: BoundingBox) -> int:
        """Estimate the number of points that `inside` visits."""
        corners = zip(self._corners(box), self._side, strict=True)
        cells: int = prod(max(0, b // side - a // side + 1) for (a, b), side in corners)
        return PER_CELL * cells

    def inside(self, box: BoundingBox) -> tuple[list[slice], NDArray[np.bool_]]:
        """Return runs of `order` that cover a box, and the mask of their points in it."""
        corners = self._corners(box)
        if any(first > last for first, last in corners):
            return [slice(0)], np.empty(0, bool)
        runs = self._runs(corners)
        low, high = map(self._word, zip(*corners, strict=True))
        words = joined(self._words, runs)
        # An axis keeps its free bit unless its difference is negative; the bit absorbs the borrow.
        behind = words - low
        np.subtract(high + 2 * FREE, words, out=words)
        words &= behind
        words &= FREE
        hit: NDArray[np.bool_] = words == FREE
        if any(self._shift):  # Shifted words may also hit points just outside.
            rows = joined(self.order, runs)[hit]
            points = zip(POINT, self._points, strict=True)
            hit[hit] = inside({name: column[rows] for name, column in points}, box)
        return runs, hit

    def _runs(self, corners: list[tuple[int, int]]) -> list[slice]:
        (za, zb), (ya, yb), (xa, xb) = (
            (first // side, last // side)
            for (first, last), side in zip(corners, self._side, strict=True)
        )
        (_, height, width), starts = self._shape, self._starts
        rows = [
            row
            for z in range(za, zb + 1)
            for row in range((z * height + ya) * width, (z * height + yb + 1) * width, width)
        ]
        return [slice(starts[row + xa], starts[row + xb + 1]) for row in rows]


def joined(column: NDArray[Any], runs: list[slice]) -> NDArray[Any]:
    """Return some runs of a column, concatenated."""
    return np.concatenate([column[run] for run in runs])
