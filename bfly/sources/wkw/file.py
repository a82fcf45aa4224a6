"""A file of WKW blocks: whether it is whole, and where its packed blocks are.

The ends of packed blocks follow the header, each an offset in the file.
"""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bfly.errors import SourceError
from bfly.sources.wkw.header import LENGTH
from bfly.storage.files import read_exactly

if TYPE_CHECKING:
    from bfly.sources.wkw.header import Header

__all__ = ["File"]

TABLE = 1 << 16
"""Entries of the table of ends that are read at once, 512 KiB."""


class File(NamedTuple):
    """An open file of blocks.

    Parameters
    ----------
    fd, size : int
        A file descriptor, and the bytes of the file.
    path : str
        Name of the file in messages.
    header : Header
        Its own header.
    """

    fd: int
    size: int
    path: str
    header: Header

    def check(self) -> None:
        """Raise `SourceError` if the file ends before its last block does."""
        header = self.header
        least = LENGTH + 8 * header.blocks if header.is_packed else LENGTH
        if header.start < least:
            raise SourceError(
                f"{self.path} is damaged: its dataOffset is {header.start}; it is {least} or more."
            )
        if not header.is_packed:
            end = header.start + header.blocks * header.nbytes
        elif self.size < header.start:
            end = header.start
        else:
            (end,) = struct.unpack("<Q", read_exactly(self.fd, 8, least - 8, self.path))
        if self.size < end:
            raise SourceError(
                f"{self.path} is truncated: its blocks end at byte {end}, the file at {self.size}."
            )

    def table(self, first: int, last: int) -> _Table:
        """Return the offsets of packed blocks, for those between two of them."""
        if last - first > TABLE:
            return _Table(self, first, None)
        return _Table(self, first, self.entries(first, last - first + 1))

    def entries(self, first: int, count: int) -> Any:
        """Return the offset of a packed block, and those of the ends of `count` from it on."""
        # The field before the table is the offset of the first block, the end of none.
        data = read_exactly(self.fd, 8 * (count + 1), LENGTH - 8 + 8 * first, self.path)
        return np.frombuffer(data, "<u8")


class _Table(NamedTuple):
    """Offsets of blocks in a file, some of which were read.

    Parameters
    ----------
    file : File
        The file.
    first : int
        Number of the block whose offset is the first entry.
    entries : numpy.ndarray, optional
        As `File.entries` returns them; None if none were read.
    """

    file: File
    first: int
    entries: Any

    def ends(self, first: int, count: int) -> list[int]:
        """Return the offset of a block, and those of the ends of `count` blocks from it on."""
        file, header = self.file, self.file.header
        if self.entries is None:
            ends = file.entries(first, count).tolist()
        else:
            ends = self.entries[first - self.first : first - self.first + count + 1].tolist()
        most = header.nbytes + header.nbytes // 255 + 16
        sizes = [b - a for a, b in pairwise(ends)]
        inside = header.start <= ends[0] and ends[-1] <= file.size
        if not (inside and min(sizes) > 0 and max(sizes) <= most):
            raise SourceError(
                f"{file.path} is damaged: its table puts the blocks from {first} on at bytes "
                f"{', '.join(map(str, ends[:4]))}; a block has 1 to {most}."
            )
        return ends  # type: ignore[no-any-return]
