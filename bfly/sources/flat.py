"""Voxels that lie in a file as they are, one after the other behind a header.

They are read with ``pread``: a mapped file that another program cuts short would end the
process where a read gives an error, and the page cache is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bfly.files import read_exactly
from bfly.geometry import BoundingBox, zyx
from bfly.sources.source import served_dtype

if TYPE_CHECKING:
    from typing import Any

    from bfly.geometry import Zyx

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["Flat"]

ROWS = (16, 64, 1024)
"""What is read at once, the axis that changes fastest last: long rows, since they are one read."""

GAP = 12 << 10
"""Bytes that are copied in the time that one more read takes: so much is read along with what is
wanted, rather than each row alone."""

SPARSEST = 32
"""A box is read as it is where that costs no more than to copy so many times its bytes."""


@dataclass(frozen=True)
class Flat:
    """A volume without compression in one file.

    Parameters
    ----------
    path : str
        Names the file in messages.
    shape : tuple of int
        The volume (z, y, x) in voxels.
    stored : numpy.dtype
        The voxels as they are in the file, in its byte order.
    offset : int
        Bytes before the first voxel.
    order : tuple of int
        The axes of `shape` as the file has them, the one that changes fastest last.
    sections : sequence of int, optional
        Bytes before each step along the slowest axis, where they do not touch each other.
    """

    path: str
    shape: Zyx
    stored: np.dtype[Any]
    offset: int = 0
    order: Zyx = (0, 1, 2)
    sections: tuple[int, ...] | None = None

    @property
    def dtype(self) -> np.dtype[Any]:
        """The voxels as `read` gives them (see `served_dtype`)."""
        return served_dtype(self.stored, self.path)

    @property
    def chunk(self) -> Zyx:
        """What is best read at once (z, y, x), in voxels."""
        shape = self._in_file(self.shape)
        chunk = [min(n, rows) for n, rows in zip(shape, ROWS, strict=True)]
        # Short rows make room for more of them.
        while chunk[1] < shape[1] and chunk[1] * chunk[2] * 2 <= ROWS[1] * ROWS[2]:
            chunk[1] = min(shape[1], chunk[1] * 2)
        return zyx(chunk[self.order.index(axis)] for axis in range(3))

    @property
    def end(self) -> int:
        """Bytes of the file up to the last voxel."""
        depth, height, width = self._in_file(self.shape)
        if self.sections is not None:
            return max(self.sections) + height * width * self.stored.itemsize
        return self.offset + depth * height * width * self.stored.itemsize

    def reads_at_once(self, box: BoundingBox) -> bool:
        """Tell whether a box is best read as it is, for its rows are long or lie close together."""
        row, width = self._in_file(box.shape)[2], self._in_file(self.shape)[2]
        size = self.stored.itemsize
        return min(width * size, GAP + row * size) <= SPARSEST * row * size

    def read(self, fd: int, box: BoundingBox) -> Voxels:
        """Read a box that is not empty and lies inside the volume.

        Parameters
        ----------
        fd : int
            The open file; it is not sought in.
        box : BoundingBox
            In voxels.

        Returns
        -------
        numpy.ndarray
            Shape ``box.shape``, C order, `dtype`; it may be read-only.

        Raises
        ------
        SourceError
            The file is cut short or the disk fails.
        """
        place = BoundingBox(zyx(self._in_file(box.start)), zyx(self._in_file(box.stop)))
        voxels = self._read(fd, place)
        # Signed integers are taken as unsigned ones before their bytes are put in order.
        voxels = voxels.view(f"{self.stored.byteorder}{self.dtype.str[1:]}")
        voxels = voxels.transpose([self.order.index(axis) for axis in range(3)])
        return np.ascontiguousarray(voxels).astype(self.dtype, copy=False)

    def _in_file(self, values: Zyx) -> list[int]:
        return [values[axis] for axis in self.order]

    def _read(self, fd: int, box: BoundingBox) -> Voxels:
        """Read a box whose axes are the file's."""
        _, height, width = self._in_file(self.shape)
        depth, rows, row = box.shape
        size = self.stored.itemsize
        if self.sections is None and (rows, row) == (height, width):
            at = self.offset + box.start[0] * height * width * size
            data = read_exactly(fd, depth * height * width * size, at, self.path)
            return np.frombuffer(data, self.stored).reshape(box.shape)
        voxels = np.empty(box.shape, self.stored)
        span = (rows - 1) * width + row
        for k, z in enumerate(range(box.start[0], box.stop[0])):
            first = self.offset + z * height * width * size
            if self.sections is not None:
                first = self.sections[z]
            at = first + (box.start[1] * width + box.start[2]) * size
            if (width - row) * size <= GAP:
                data = read_exactly(fd, span * size, at, self.path)
                strides = (width * size, size)
                voxels[k] = np.ndarray((rows, row), self.stored, data, strides=strides)
                continue
            for j in range(rows):
                data = read_exactly(fd, row * size, at + j * width * size, self.path)
                voxels[k, j] = np.frombuffer(data, self.stored)
        return voxels
