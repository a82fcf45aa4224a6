"""A grid of cells over places in memory: a box looks only at the cells that it touches."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bfly.geometry import BoundingBox

__all__ = ["Grid", "joined"]

PER_CELL = 64
"""How many places a cell holds on average: few to filter, few cells to visit."""


MORE = 1 / 2, 1 / 2, 4
"""By how many times an axis is divided more often than if all were alike: cells with the same
z and y lie in one run, so that there are few runs where x is divided most."""


class Grid:
    """Places sorted by the cell that they lie in.

    Cells have the proportions of the whole, whatever the shape of a voxel, but for `MORE`.

    Parameters
    ----------
    points : sequence of numpy.ndarray
        z, y and x of N places, int64, voxels.

    Attributes
    ----------
    order : numpy.ndarray
        (N,), intp: the places in the order of their cells.
    """

    def __init__(self, points: Sequence[NDArray[np.int64]]) -> None:
        ends = [(int(p.min()), int(p.max())) if len(p) else (0, 0) for p in points]
        self._low = [low for low, _ in ends]
        self._reach = [high - low for low, high in ends]
        # What is counted from the lowest voxel is never negative, and most often fits 32 bits.
        dtype = np.uint32 if max(self._reach) < 2**32 else np.uint64
        offsets = [
            (p - low).view(np.uint64).astype(dtype)
            for p, low in zip(points, self._low, strict=True)
        ]
        wanted = (len(points[0]) / PER_CELL) ** (1 / 3)
        self._side = [
            reach // max(1, round(wanted * more)) + 1
            for reach, more in zip(self._reach, MORE, strict=True)
        ]
        _, height, width = self._shape = [
            reach // side + 1 for reach, side in zip(self._reach, self._side, strict=True)
        ]
        z, y, x = (o // side for o, side in zip(offsets, self._side, strict=True))
        cells = (z * height + y) * width + x
        self.order = np.argsort(cells, kind="stable")
        numbers = np.arange(prod(self._shape) + 1)
        self._starts: list[int] = np.searchsorted(cells[self.order], numbers).tolist()
        self._offsets = [offset[self.order] for offset in offsets]

    def _corners(self, box: BoundingBox) -> list[tuple[int, int]]:
        """Give the offsets of the first and the last voxel of a box, where there are places."""
        axes = zip(box.start, box.stop, self._low, self._reach, strict=True)
        return [(max(a - low, 0), min(b - 1 - low, reach)) for a, b, low, reach in axes]

    def about(self, box: BoundingBox) -> int:
        """Give about how many places `inside` looks at."""
        corners = zip(self._corners(box), self._side, strict=True)
        cells: int = prod(max(0, b // side - a // side + 1) for (a, b), side in corners)
        return PER_CELL * cells

    def inside(self, box: BoundingBox) -> tuple[list[slice], NDArray[np.bool_]]:
        """Give runs of `order` that cover a box, and which of their places lie in it."""
        corners = self._corners(box)
        if any(first > last for first, last in corners):
            return [slice(0)], np.empty(0, bool)
        runs = self._runs(corners)
        z, y, x = (
            _between(joined(offsets, runs), first, last)
            for offsets, (first, last) in zip(self._offsets, corners, strict=True)
        )
        z &= y
        z &= x
        return runs, z

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
    """Give some runs of a column, one after the other."""
    return np.concatenate([column[run] for run in runs])


def _between(values: NDArray[Any], first: int, last: int) -> NDArray[np.bool_]:
    """Tell which unsigned numbers lie in a range; overwrites them."""
    # Those before the range wrap around, and are far behind it.
    values -= first
    return values <= last - first
