"""Voxels that lie in a file as they are, one after the other behind a header.

They are read with ``preadv``: a mapped file that another program cuts short would end the
process where a read gives an error, and the page cache is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bfly.geometry import BoundingBox, zyx
from bfly.sources.source import served_dtype
from bfly.storage.files import read_into

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
        """The voxels as they are served (see `served_dtype`)."""
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
        """Give a box of voxels, in C order; see `read_into`."""
        voxels = np.empty(box.shape, self.dtype)
        self.read_into(fd, box, voxels)
        return voxels

    def read_into(self, fd: int, box: BoundingBox, voxels: Voxels) -> None:
        """Read a box that is not empty and lies inside the volume.

        Parameters
        ----------
        fd : int
            The open file; it is not sought in.
        box : BoundingBox
            In voxels.
        voxels : numpy.ndarray
            Where they are wanted: shape ``box.shape``, any strides, `dtype`.

        Raises
        ------
        SourceError
            The file is cut short or the disk fails.
        """
        place = BoundingBox(zyx(self._in_file(box.start)), zyx(self._in_file(box.stop)))
        target = voxels.transpose(self.order)
        # Signed integers are taken as unsigned ones before their bytes are put in order.
        stored = np.dtype(f"{self.stored.byteorder}{self.dtype.str[1:]}")
        _, height, width = self._in_file(self.shape)
        _, rows, row = place.shape
        size = stored.itemsize
        as_it_is = self.sections is None and (rows, row) == (height, width)
        if as_it_is and stored == self.dtype and target.flags.c_contiguous:
            at = self.offset + place.start[0] * height * width * size
            read_into(fd, target.reshape(-1).view(np.uint8).data, at, self.path)
            return
        close = (width - row) * size <= GAP
        # It is used again for each section, so that its pages are there after the first.
        piece = np.empty((rows - 1) * width + row if close else row, stored)
        memory = piece.view(np.uint8).data
        spread = (
            np.ndarray((rows, row), stored, piece, strides=(width * size, size)) if close else None
        )
        for k, z in enumerate(range(place.start[0], place.stop[0])):
            first = self.offset + z * height * width * size
            if self.sections is not None:
                first = self.sections[z]
            at = first + (place.start[1] * width + place.start[2]) * size
            if spread is not None:
                read_into(fd, memory, at, self.path)
                target[k] = spread
                continue
            for j in range(rows):
                read_into(fd, memory, at + j * width * size, self.path)
                target[k, j] = piece

    def _in_file(self, values: Zyx) -> list[int]:
        return [values[axis] for axis in self.order]
