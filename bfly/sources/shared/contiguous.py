"""Uncompressed voxels, stored contiguously in a file behind a header.

They are read with ``preadv`` and not mapped. If another program truncates a mapped file, the
process ends, while a read raises an error. The page cache is the same.
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
"""Voxels read at once, the fastest axis last. Rows are long, since each row is one read."""

GAP = 12 << 10
"""Bytes that are copied in the time of one more read. Rows with smaller gaps are read together,
gaps included."""

SPARSEST = 32
"""A box is read directly if that costs no more than copying this many times its bytes."""


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
    """

    path: str
    shape: Zyx
    stored: np.dtype[Any]
    offset: int = 0
    order: Zyx = (0, 1, 2)
    sections: tuple[int, ...] | None = None

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
        return self.offset + depth * height * width * self.stored.itemsize

    def reads_at_once(self, box: BoundingBox) -> bool:
        """Return whether a box is best read directly: its rows are long or close together."""
        row, width = self._in_file(box.shape)[2], self._in_file(self.shape)[2]
        size = self.stored.itemsize
        return min(width * size, GAP + row * size) <= SPARSEST * row * size

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
        # Booleans are read as bytes; the byte order is converted after that.
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
        # Reused for each section, so that its memory pages are allocated once.
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
