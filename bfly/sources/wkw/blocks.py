"""Blocks of a WKW file, and their decoding.

Blocks are in Morton order, with x in the lowest bit, so that an aligned cube of blocks is one range
of bytes.
"""

from __future__ import annotations

import math
import os
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np

from bfly.errors import SourceError
from bfly.geometry import ceil_div
from bfly.storage.files import read_exactly, reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bfly.geometry import BoundingBox
    from bfly.sources.wkw.file import File

    Voxels = np.ndarray[Any, np.dtype[Any]]
    Slices = tuple[slice, slice, slice]
    Part = tuple[int, Slices, Slices]

__all__ = ["read_box"]

WHOLE = slice(None)

RUN = 4 << 20
"""Unpacked bytes of blocks that are read together."""

GAP = 2
"""A block is read together with one that is so many further: as fast as two reads."""


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
    parts = _parts(box, file.header.side)
    pieces = _packed(file, parts) if file.header.is_packed else _raw(file, parts)
    # Bytes of a row are copied as one item where both have them in a row.
    as_rows = (
        file.header.channels == 1
        and voxels.dtype == file.header.stored
        and voxels.strides[2] == voxels.itemsize
    )
    for block, source, target in pieces:
        part = block[..., channel][source]
        if as_rows:
            row = f"V{part.shape[2] * part.itemsize}"
            voxels[target].view(row)[...] = part.view(row)
        else:
            voxels[target] = part


def _raw(file: File, parts: list[Part]) -> Iterator[tuple[Voxels, Slices, Slices]]:
    """Yield the sections that are needed of each block (z, y, x, channel), and `_parts` of them."""
    header = file.header
    rest = header.side, header.side, header.channels
    section = math.prod(rest) * header.stored.itemsize
    with reading(file.path):
        for number, (z, y, x), target in parts:
            at = header.start + number * header.nbytes + z.start * section
            size = (z.stop - z.start) * section
            data = os.pread(file.fd, size, at)
            if len(data) < size:
                data = read_exactly(file.fd, size, at, file.path)
            yield np.frombuffer(data, header.stored).reshape(-1, *rest), (WHOLE, y, x), target


def _packed(file: File, parts: list[Part]) -> Iterator[tuple[Voxels, Slices, Slices]]:
    """Yield what `_raw` does, but whole blocks, which are unpacked."""
    header = file.header
    shape = header.side, header.side, header.side, header.channels
    table = file.table(parts[0][0], parts[-1][0])
    for run in _runs(parts, max(1, RUN // header.nbytes)):
        first = run[0][0]
        ends = table.ends(first, run[-1][0] - first + 1)
        start = ends[0]
        data = memoryview(read_exactly(file.fd, ends[-1] - start, start, file.path))
        for number, source, target in run:
            stored = data[ends[number - first] - start : ends[number - first + 1] - start]
            block = _unpacked(stored, file, number, header.nbytes)
            yield np.frombuffer(block, header.stored).reshape(shape), source, target


def _unpacked(stored: Any, file: File, number: int, nbytes: int) -> Any:
    """Return the bytes of a block."""
    try:
        data = imagecodecs.lz4_decode(stored, out=nbytes)
    except (RuntimeError, ValueError) as error:
        raise SourceError(f"{file.path}: the block {number} is damaged: {error}.") from error
    if len(data) != nbytes:
        raise SourceError(
            f"{file.path}: the block {number} is damaged: it unpacks to {len(data)} bytes, not to "
            f"{nbytes}."
        )
    return data


def _parts(box: BoundingBox, side: int) -> list[Part]:
    """Return the blocks of a box in the order of the file.

    Each is its number, its voxels in the box, and their place in it.
    """
    axes = zip(box.start, box.stop, (2, 1, 0), strict=True)
    z_spans, y_spans, x_spans = (_spans(start, stop, side, bit) for start, stop, bit in axes)
    parts = [
        (z | y | x, (z_from, y_from, x_from), (z_to, y_to, x_to))
        for z, z_from, z_to in z_spans
        for y, y_from, y_to in y_spans
        for x, x_from, x_to in x_spans
    ]
    return sorted(parts, key=itemgetter(0))


def _spans(start: int, stop: int, side: int, bit: int) -> list[tuple[int, slice, slice]]:
    """Return what `_parts` does along an axis, whose bits begin at `bit` of a number."""
    spans = []
    for index in range(start // side, ceil_div(stop, side)):
        first = index * side
        low, high = max(start, first), min(stop, first + side)
        here, there = slice(low - first, high - first), slice(low - start, high - start)
        spans.append((_spread(index) << bit, here, there))
    return spans


def _runs(parts: list[Part], most: int) -> Iterator[list[Part]]:
    """Yield runs of blocks that are read together: at most `most`, with few others in between."""
    run: list[Part] = []
    for part in parts:
        if run and (part[0] > run[-1][0] + GAP or part[0] - run[0][0] >= most):
            yield run
            run = []
        run.append(part)
    yield run


@lru_cache(1 << 15)
def _spread(value: int) -> int:
    """Return a number with two zeros before each of its bits."""
    return sum((value >> bit & 1) << 3 * bit for bit in range(value.bit_length()))
