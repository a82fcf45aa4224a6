"""Uncompressed voxels, stored contiguously in a file behind a header.

They are read with ``preadv`` and not mapped. If another program truncates a mapped file, the
process ends, while a read raises an error. The page cache is the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bfly.geometry import BoundingBox, zyx
from bfly.sources.voxel_types import bytes_dtype, quiet, served_dtype
from bfly.storage.files import read_into

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Self

    from bfly.geometry import Zyx
    from bfly.sources.shared.axes import VolumeAxes

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["Flat"]

ROWS = (16, 64, 1024)
"""Voxels read at once, the fastest axis last. Rows are long, since each row is one read."""

GAP = 12 << 10
"""Bytes that are copied in the time of one more read. Rows with smaller gaps are read together,
gaps included."""

SPARSEST = 32
"""A box is read directly if that costs no more than copying this many times its bytes."""

SPAN = 16 << 20
"""Most bytes that are read at once where they are more than those of the voxels as served: voxels
of other volumes are in between, or floats of 64 bits become such of 32."""


@dataclass(frozen=True)
class Flat:
    """An uncompressed volume in one file.

    Parameters
    ----------
    path : str
        Name of the file in messages.
    shape : tuple of int
        The volume (z, y, x) in voxels.
    stored : numpy.dtype
        dtype of the voxels in the file, in its byte order.
    offset : int
        Bytes before the first voxel.
    order : tuple of int
        Axes of `shape` in the order of the file, the fastest last.
    sections : sequence of int, optional
        Offset in bytes of each step along the slowest axis, if the steps are not contiguous.
    steps : tuple of int, optional
        Bytes from a voxel to the next one along each axis, in the order of the file, if voxels of
        other volumes are in between.
    end_of_all : int
        Bytes of the file up to the end of all its volumes, if there are several.
    """

    path: str
    shape: Zyx
    stored: np.dtype[Any]
    offset: int = 0
    order: Zyx = (0, 1, 2)
    sections: tuple[int, ...] | None = None
    steps: Zyx | None = None
    end_of_all: int = 0

    @classmethod
    def in_array(
        cls,
        path: str,
        shape: Sequence[int],
        axes: VolumeAxes,
        stored: np.dtype[Any],
        offset: int = 0,
        *,
        x_first: bool = False,
    ) -> Self:
        """Return one volume of a contiguous array with any number of axes.

        Parameters
        ----------
        path, stored
            As for the class.
        shape : sequence of int
            Voxels along each axis of the array, in the order of its format.
        axes : VolumeAxes
            Axes of the volume, and its place on the others.
        offset : int
            Bytes before the first voxel of the array.
        x_first : bool
            Whether the first axis is the fastest, not the last one.
        """
        count = len(shape)
        slower_first = range(count)[:: -1 if x_first else 1]
        step, steps = stored.itemsize, [0] * count
        for axis in reversed(slower_first):
            steps[axis], step = step, step * int(shape[axis])
        first = offset + sum(steps[axis] * index for axis, index in axes.at.items())
        space = sorted(axes.zyx, key=slower_first.index)
        missing = 3 - len(space)
        sides = [1] * missing + [int(shape[axis]) for axis in axes.zyx]
        order = [*range(missing), *(missing + axes.zyx.index(axis) for axis in space)]
        apart = [step] * missing + [steps[axis] for axis in space]
        flat = cls(path, zyx(sides), stored, first, zyx(order))
        if math.prod(shape) == math.prod(sides):
            return flat
        return replace(flat, steps=zyx(apart), end_of_all=offset + step)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Served dtype of the voxels (see `served_dtype`)."""
        return served_dtype(self.stored, self.path)

    @property
    def chunk(self) -> Zyx:
        """Best shape to read at once (z, y, x), in voxels."""
        shape = self._in_file(self.shape)
        chunk = [min(n, rows) for n, rows in zip(shape, ROWS, strict=True)]
        # Short rows leave room for more of them.
        while chunk[1] < shape[1] and chunk[1] * chunk[2] * 2 <= ROWS[1] * ROWS[2]:
            chunk[1] = min(shape[1], chunk[1] * 2)
        return zyx(chunk[self.order.index(axis)] for axis in range(3))

    @property
    def end(self) -> int:
        """Bytes of the file up to the end of the last voxel."""
        depth, height, width = self._in_file(self.shape)
        if self.sections is not None:
            return max(self.sections) + height * width * self.stored.itemsize
        if self.steps is not None:
            return self.end_of_all
        return self.offset + depth * height * width * self.stored.itemsize

    @property
    def _steps(self) -> Zyx:
        """Bytes from a voxel to the next along each axis, in the order of the file."""
        _, height, width = self._in_file(self.shape)
        size = self.stored.itemsize
        return self.steps or (height * width * size, width * size, size)

    def reads_at_once(self, box: BoundingBox) -> bool:
        """Return whether a box is best read directly: its rows are long or close together."""
        row, size = self._in_file(box.shape)[2], self.stored.itemsize
        _, row_step, step = self._steps
        return min(row_step, GAP + row * step) <= SPARSEST * row * size

    def read(self, fd: int, box: BoundingBox) -> Voxels:
        """Return a box of voxels, in C order; see `read_into`."""
        voxels = np.empty(box.shape, self.dtype)
        self.read_into(fd, box, voxels)
        return voxels

    def read_into(self, fd: int, box: BoundingBox, voxels: Voxels) -> None:
        """Read a non-empty box inside the volume.

        Parameters
        ----------
        fd : int
            The open file; its position is not changed.
        box : BoundingBox
            In voxels.
        voxels : numpy.ndarray
            Output: shape ``box.shape``, any strides, `dtype`.

        Raises
        ------
        SourceError
            The file is truncated or the disk fails.
        """
        place = BoundingBox(zyx(self._in_file(box.start)), zyx(self._in_file(box.stop)))
        target = voxels.transpose(self.order)
        # The byte order, and floats, are converted after the read.
        stored = bytes_dtype(self.stored)
        _, height, width = self._in_file(self.shape)
        _, rows, row = place.shape
        section_step, row_step, step = self._steps
        dense = self.sections is None and self.steps is None
        as_it_is = dense and (rows, row) == (height, width)
        if as_it_is and stored == self.dtype and target.flags.c_contiguous:
            at = self.offset + place.start[0] * section_step
            read_into(fd, target.reshape(-1).view(np.uint8).data, at, self.path)
            return
        close = row_step - row * step <= GAP
        together = rows if close else 1
        span = (together - 1) * row_step + (row - 1) * step + stored.itemsize
        is_wide = self.steps is not None or stored.itemsize > self.dtype.itemsize
        if is_wide and span > SPAN:
            for half in _halves(box, self.order[1 if together > 1 else 2]):
                self.read_into(fd, half, voxels[half.relative_to(box.start).slices])
            return
        # Reused for each section, so that its memory pages are allocated once.
        piece = np.empty(span, np.uint8)
        pixels = np.ndarray((together, row), stored, piece, strides=(row_step, step))
        for k, z in enumerate(range(place.start[0], place.stop[0])):
            first = self.offset + z * section_step
            if self.sections is not None:
                first = self.sections[z]
            at = first + place.start[1] * row_step + place.start[2] * step
            for j in range(0, rows, together):
                read_into(fd, piece.data, at + j * row_step, self.path)
                with quiet():
                    target[k, j : j + together] = pixels

    def _in_file(self, values: Zyx) -> list[int]:
        return [values[axis] for axis in self.order]


def _halves(box: BoundingBox, axis: int) -> tuple[BoundingBox, BoundingBox]:
    """Split a box in the middle of an axis on which it is longer than one voxel."""
    middle = (box.start[axis] + box.stop[axis]) // 2
    stop, start = list(box.stop), list(box.start)
    stop[axis] = start[axis] = middle
    return BoundingBox(box.start, zyx(stop)), BoundingBox(zyx(start), box.stop)
