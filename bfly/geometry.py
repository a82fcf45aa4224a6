"""Boxes, scales, and the tiles that cover a box: all zyx, all in voxels."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    import numpy as np

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["BoundingBox", "Scale", "Zyx", "ceil_div", "copy_rows", "fit_tile", "indexes", "zyx"]

Zyx = tuple[int, int, int]

FEW = 16_384
"""Voxels. Copying fewer takes less time than checking that their rows are contiguous."""


def zyx(values: Iterable[int]) -> Zyx:
    """Return three plain integers as a z, y, x tuple.

    Parameters
    ----------
    values : iterable of int
        Three numbers in z, y, x order, numpy scalars included.

    Returns
    -------
    tuple of int
        The same numbers as Python integers, which never overflow.
    """
    z, y, x = values
    return int(z), int(y), int(x)


def ceil_div(value: int, divisor: int) -> int:
    """Divide and round up, exactly, for integers of any sign."""
    return -(-value // divisor)


@dataclass(frozen=True, slots=True)
class BoundingBox:
    """A box of voxels at one mip, start inclusive and stop exclusive.

    Parameters
    ----------
    start, stop : tuple of int
        The corners (z, y, x) in voxels of that mip.
    """

    start: Zyx
    stop: Zyx

    @classmethod
    def of_shape(cls, shape: Zyx, start: Zyx = (0, 0, 0)) -> BoundingBox:
        """Return the box of `shape` voxels that starts at voxel `start`."""
        return cls(start, (start[0] + shape[0], start[1] + shape[1], start[2] + shape[2]))

    @property
    def shape(self) -> Zyx:
        """Extent (z, y, x) in voxels; never negative."""
        (a, b, c), (i, j, k) = self.start, self.stop
        return i - a if i > a else 0, j - b if j > b else 0, k - c if k > c else 0

    @property
    def size(self) -> int:
        """Number of voxels."""
        depth, height, width = self.shape
        return depth * height * width

    def __and__(self, other: BoundingBox) -> BoundingBox:
        """Return the intersection; its size is 0 if the boxes do not overlap."""
        (a, b, c), (i, j, k) = self.start, self.stop
        (z, y, x), (r, s, t) = other.start, other.stop
        z, y, x = a if a > z else z, b if b > y else y, c if c > x else x
        r, s, t = i if i < r else r, j if j < s else s, k if k < t else t
        return BoundingBox((z, y, x), (r if r > z else z, s if s > y else y, t if t > x else x))

    def joined(self, other: BoundingBox) -> BoundingBox:
        """Return the smallest box that contains both."""
        start, stop = map(min, self.start, other.start), map(max, self.stop, other.stop)
        return BoundingBox(zyx(start), zyx(stop))

    def __contains__(self, other: BoundingBox) -> bool:
        return all(a <= b for a, b in zip(self.start, other.start, strict=True)) and all(
            a >= b for a, b in zip(self.stop, other.stop, strict=True)
        )

    def shift(self, by: Zyx) -> BoundingBox:
        """Return the box moved by `by` voxels (z, y, x)."""
        a, b = self.start, self.stop
        return BoundingBox(
            (a[0] + by[0], a[1] + by[1], a[2] + by[2]), (b[0] + by[0], b[1] + by[1], b[2] + by[2])
        )

    def relative_to(self, origin: Zyx) -> BoundingBox:
        """Return the box relative to the voxel `origin` (z, y, x)."""
        a, b, o = self.start, self.stop, origin
        return BoundingBox(
            (a[0] - o[0], a[1] - o[1], a[2] - o[2]), (b[0] - o[0], b[1] - o[1], b[2] - o[2])
        )

    def refined(self, factor: Zyx) -> BoundingBox:
        """Return the box in finer voxels, `factor` of them (z, y, x) per voxel."""
        (a, b, c), (i, j, k), (z, y, x) = self.start, self.stop, factor
        return BoundingBox((a * z, b * y, c * x), (i * z, j * y, k * x))

    def in_tiles(self, tile: Zyx) -> BoundingBox:
        """Return the tiles that intersect the box, as a box of tile indexes.

        Parameters
        ----------
        tile : tuple of int
            The shape (z, y, x) of a tile in voxels; tile (0, 0, 0) starts at voxel (0, 0, 0).
        """
        (a, b, c), (i, j, k), (z, y, x) = self.start, self.stop, tile
        return BoundingBox((a // z, b // y, c // x), (-(-i // z), -(-j // y), -(-k // x)))

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """The box as an index into a numpy array that starts at voxel (0, 0, 0)."""
        a, b = self.start, self.stop
        return slice(a[0], b[0]), slice(a[1], b[1]), slice(a[2], b[2])


@dataclass(frozen=True, slots=True)
class Scale:
    """One mip that a source holds.

    Parameters
    ----------
    shape : tuple of int
        The size of the whole mip (z, y, x) in voxels.
    chunk : tuple of int
        The shape (z, y, x) of the piece that the storage reads or decodes at once.
    factor : tuple of int
        Voxels of mip 0 per voxel (z, y, x); y and x have the same factor, z may have a smaller one.
    origin : tuple of int
        The position of the first voxel according to the file (z, y, x), in voxels of this mip.
    """

    shape: Zyx
    chunk: Zyx
    factor: Zyx = (1, 1, 1)
    origin: Zyx = (0, 0, 0)

    @property
    def box(self) -> BoundingBox:
        """Box of the whole mip, from voxel (0, 0, 0)."""
        return BoundingBox.of_shape(self.shape)


def copy_rows(voxels: Voxels, target: Voxels, place: Any = ...) -> None:
    """Copy voxels (zyx) to a place in an array of the same dtype, the whole array by default.

    In large copies, each row along x is one numpy item: that takes half the time.
    """
    if voxels.size > FEW and voxels.dtype == target.dtype:
        row, part = voxels.shape[2] * voxels.itemsize, target[place]
        if {voxels.strides[2], part.strides[2]} == {voxels.itemsize}:
            part.view(f"V{row}")[...] = voxels.view(f"V{row}")
            return
    target[place] = voxels


def indexes(box: BoundingBox) -> Iterator[Zyx]:
    """Yield the positions of a box in C order (x runs fastest)."""
    (z0, y0, x0), (z1, y1, x1) = box.start, box.stop
    return itertools.product(range(z0, z1), range(y0, y1), range(x0, x1))


def fit_tile(chunk: Zyx, shape: Zyx, itemsize: int, smallest: int, largest: int) -> Zyx:
    """Choose the tile shape for chunked storage: the chunk itself if its size is reasonable.

    Parameters
    ----------
    chunk, shape : tuple of int
        The storage chunk and the whole level (z, y, x) in voxels.
    itemsize : int
        Bytes per voxel.
    smallest, largest : int
        Bytes. Chunks smaller than `smallest` are combined into one tile; chunks larger
        than `largest` are divided.

    Returns
    -------
    tuple of int
        Along each axis a multiple or an even part of the chunk, so that no tile contains
        parts of two chunks.
    """
    tile = list(chunk)

    def bytes_of_tile() -> int:
        return math.prod(tile) * itemsize

    def divisible(axis: int) -> bool:
        return tile[axis] > 1 and (tile[axis] % 2 == 0 or chunk[axis] >= shape[axis])

    while bytes_of_tile() > largest and (axes := [a for a in range(3) if divisible(a)]):
        axis = max(axes, key=lambda a: tile[a])
        tile[axis] = ceil_div(tile[axis], 2)
    if math.prod(chunk) * itemsize < smallest:
        while bytes_of_tile() < smallest and (axes := [a for a in range(3) if tile[a] < shape[a]]):
            axis = min(axes, key=lambda a: tile[a])
            tile[axis] *= 2
    return zyx(tile)
