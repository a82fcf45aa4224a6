"""Header of WKW files: 16 bytes, the same in ``header.wkw`` and in each file of blocks.

The format: the README of https://github.com/scalableminds/webknossos-wrap; its Rust library adds
the signed types, 7 to 10.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bfly.errors import SourceError
from bfly.storage.limits import check_chunk

if TYPE_CHECKING:
    from typing import Any

__all__ = ["LENGTH", "Header", "parsed"]

LENGTH = 16
"""Bytes of the header."""

TYPES = dict(enumerate(("u1", "u2", "u4", "u8", "f4", "f8", "i1", "i2", "i4", "i8"), 1))
"""dtypes of a value by their numbers."""

RAW, PACKED = 1, (2, 3)
"""Types of blocks: as they are, and compressed by LZ4, the second one slowly."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a header says.

    Parameters
    ----------
    side, count : int
        Voxels of a block, and blocks of a file, along each axis.
    is_packed : bool
        Whether blocks are compressed by LZ4.
    stored : numpy.dtype
        Of a value; little-endian.
    channels : int
        Values of a voxel.
    start : int
        Offset of the first block in bytes; 0 in ``header.wkw``.
    """

    side: int
    count: int
    is_packed: bool
    stored: np.dtype[Any]
    channels: int
    start: int

    @property
    def nbytes(self) -> int:
        """Bytes of an unpacked block."""
        return self.side**3 * self.channels * self.stored.itemsize

    @property
    def blocks(self) -> int:
        """Blocks of a file."""
        return self.count**3

    @property
    def length(self) -> int:
        """Voxels of a file along each axis."""
        return self.side * self.count


def parsed(data: bytes, path: str, limit: int) -> Header:
    """Read a header.

    Parameters
    ----------
    data : bytes
        The first bytes of a file.
    path : str
        Name of the file in messages.
    limit : int
        Bytes that a block may take in memory.

    Raises
    ------
    SourceError
        It is no header of version 1, or a field has a value that the format lacks.
    Oversized
        A block takes more than the limit.
    """
    if len(data) < LENGTH:
        raise SourceError(f"{path} is truncated: its header has {LENGTH} bytes, {len(data)} are.")
    magic, version, sides, packing, number, size, start = struct.unpack("<3s5BQ", data[:LENGTH])
    if magic != b"WKW":
        raise SourceError(f"{path} is no WKW file: it begins with {magic!r}, not with b'WKW'.")
    for name, value, allowed in (
        ("version", version, (1,)),
        ("blockType", packing, (RAW, *PACKED)),
        ("voxelType", number, (*TYPES,)),
    ):
        if value not in allowed:
            known = ", ".join(map(str, allowed))
            raise SourceError(f"{path}: its {name} is {value}; allowed are {known}.")
    stored = np.dtype(f"<{TYPES[number]}")
    if not size or size % stored.itemsize:
        raise SourceError(
            f"{path}: its voxelSize is {size} bytes; allowed are multiples of {stored.itemsize}, "
            f"the size of a {stored.name}."
        )
    channels = size // stored.itemsize
    header = Header(1 << (sides & 15), 1 << (sides >> 4), packing != RAW, stored, channels, start)
    check_chunk(path, "a block", (header.side,) * 3, size, limit)
    return header
