"""Blocks of a WKW file: where they are, and their decoding.

Blocks are in Morton order, with x in the lowest bit, so that an aligned cube of blocks is one range
of bytes. The ends of packed blocks follow the header, each an offset in the file.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import imagecodecs
import numpy as np

from bfly.errors import SourceError
from bfly.geometry import BoundingBox, copy_rows, indexes
from bfly.sources.wkw.header import LENGTH
from bfly.storage.files import read_exactly

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bfly.geometry import Zyx
    from bfly.sources.wkw.header import Header

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["File", "read_box"]

RUN = 4 << 20
"""Unpacked bytes of blocks that are read together."""


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

    def ends(self, first: int, count: int) -> list[int]:
        """Return the offset of a block, and those of the ends of `count` blocks from it on."""
        header = self.header
        if not header.is_packed:
            return [header.start + (first + i) * header.nbytes for i in range(count + 1)]
        # The field before the table is the offset of the first block, the end of none.
        data = read_exactly(self.fd, 8 * (count + 1), LENGTH - 8 + 8 * first, self.path)
        ends = struct.unpack(f"<{count + 1}Q", data)
        most = header.nbytes + header.nbytes // 255 + 16
        sizes = [b - a for a, b in pairwise(ends)]
        inside = header.start <= ends[0] and ends[-1] <= self.size
        if not (inside and min(sizes) > 0 and max(sizes) <= most):
            raise SourceError(
                f"{self.path} is damaged: its table puts the blocks from {first} on at bytes "
                f"{', '.join(map(str, ends[:4]))}; a block has 1 to {most}."
            )
        return list(ends)


def read_box(file: File, box: BoundingBox, channel: int, voxels: Voxels) -> None:
    """Read a box of one channel of a file.

    Parameters
    ----------
    file : File
        The file, checked.
    box : BoundingBox
        Voxels, counted from the first one of the file; inside it.
    channel : int
        Index of the value of each voxel.
    voxels : numpy.ndarray
        Shape of the box, zyx; it is overwritten.

    Raises
    ------
    SourceError
        A block is damaged or missing.
    """
    header = file.header
    side = header.side
    for first, run in _runs(box.in_tiles((side,) * 3), max(1, RUN // header.nbytes)):
        ends = file.ends(first, len(run))
        data = memoryview(read_exactly(file.fd, ends[-1] - ends[0], ends[0], file.path))
        for number, (z, y, x) in enumerate(run):
            stored = data[ends[number] - ends[0] : ends[number + 1] - ends[0]]
            block = _unpacked(stored, file, first + number)[..., channel]
            place = BoundingBox.of_shape((side,) * 3, (z * side, y * side, x * side))
            part = place & box
            copy_rows(
                block[part.relative_to(place.start).slices],
                voxels,
                part.relative_to(box.start).slices,
            )


def _unpacked(stored: Any, file: File, number: int) -> Voxels:
    """Return the voxels of a block, shape (z, y, x, channel)."""
    header = file.header
    data = stored
    if header.is_packed:
        try:
            data = imagecodecs.lz4_decode(stored, out=header.nbytes)
        except (RuntimeError, ValueError) as error:
            raise SourceError(f"{file.path}: the block {number} is damaged: {error}.") from error
        if len(data) != header.nbytes:
            raise SourceError(
                f"{file.path}: the block {number} is damaged: it unpacks to {len(data)} bytes, "
                f"not to {header.nbytes}."
            )
    side = header.side
    return np.frombuffer(data, header.stored).reshape(side, side, side, header.channels)


def _runs(blocks: BoundingBox, most: int) -> Iterator[tuple[int, list[Zyx]]]:
    """Yield the blocks of a box of block indexes, as runs of at most `most` in the file's order.

    Each run is the number of its first block, and the index (z, y, x) of each.
    """
    numbered = sorted((_number(index), index) for index in indexes(blocks))
    run: list[Zyx] = []
    first = numbered[0][0]
    for number, index in numbered:
        if run and (number != first + len(run) or len(run) == most):
            yield first, run
            first, run = number, []
        run.append(index)
    yield first, run


def _number(index: Zyx) -> int:
    """Return the position of a block in the file."""
    z, y, x = index
    return _spread(x) | _spread(y) << 1 | _spread(z) << 2


@lru_cache(1 << 15)
def _spread(value: int) -> int:
    """Return a number with two zeros before each of its bits."""
    return sum((value >> bit & 1) << 3 * bit for bit in range(value.bit_length()))
