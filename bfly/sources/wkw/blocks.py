"""Blocks of a WKW file, and their decoding.

Blocks are in Morton order, with x in the lowest bit, so that an aligned cube of blocks is one range
of bytes.
"""

from __future__ import annotations

import os
import threading
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

    from numpy.typing import NDArray

    from bfly.geometry import BoundingBox
    from bfly.sources.wkw.file import File

    Voxels = np.ndarray[Any, np.dtype[Any]]
    Slices = tuple[slice, slice, slice]
    Part = tuple[int, Slices, Slices]
    Piece = tuple[int, Slices, Slices]

__all__ = ["read_box"]

RUN = 1 << 20
"""Unpacked bytes of blocks that are read together."""

TOGETHER = 8
"""Blocks without compression that are read together: they stay in the cache of the processor."""

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
    blocks, pieces = (_packed if file.header.is_packed else _raw)(file, parts)
    values = blocks[..., channel]
    # Bytes of a row are copied as one item where both have them in a row.
    as_rows = (
        file.header.channels == 1
        and voxels.dtype == file.header.stored
        and voxels.strides[2] == voxels.itemsize
    )
    for place, source, target in pieces:
        part = values[place][source]
        if as_rows:
            row = _row(part.shape[2] * part.itemsize)
            voxels[target].view(row)[...] = part.view(row)
        else:
            voxels[target] = part


def _raw(file: File, parts: list[Part]) -> tuple[Voxels, Iterator[Piece]]:
    """Return an array of some blocks, and an iterator that reads blocks to it.

    Returns
    -------
    blocks : numpy.ndarray
        Block, z, y, x, channel. It is overwritten from one item of the iterator to the next.
    pieces : iterator
        The place of a block in the array, its voxels in the box, and their place in the box. Of a
        block that is read alone, only the sections that are needed are read, to its beginning.
    """
    header = file.header
    blocks = _room(file, min(len(parts), TOGETHER))
    section = blocks[0, 0].nbytes
    memory = memoryview(blocks.data).cast("B")

    def read(size: int, at: int) -> None:
        # Without a new object for the bytes.
        if os.preadv(file.fd, [memory[:size]], at) < size:
            memory[:size] = read_exactly(file.fd, size, at, file.path)

    def pieces() -> Iterator[Piece]:
        with reading(file.path):
            for run in _runs(parts, len(blocks), gap=1):
                number, (z, y, x), target = run[0]
                at = header.start + number * header.nbytes
                if len(run) == 1:
                    read((z.stop - z.start) * section, at + z.start * section)
                    yield 0, (slice(z.stop - z.start), y, x), target
                    continue
                read(len(run) * header.nbytes, at)
                for place, (_, source, target) in enumerate(run):
                    yield place, source, target

    return blocks, pieces()


def _packed(file: File, parts: list[Part]) -> tuple[Voxels, Iterator[Piece]]:
    """Return what `_raw` does, but whole blocks are unpacked, one at a time."""
    header = file.header
    blocks = _room(file, 1)
    memory = memoryview(blocks.data).cast("B")
    table = file.table(parts[0][0], parts[-1][0])

    def pieces() -> Iterator[Piece]:
        for run in _runs(parts, max(1, RUN // header.nbytes), GAP):
            first = run[0][0]
            ends = table.ends(first, run[-1][0] - first + 1)
            start = ends[0]
            data = _read(file, start, ends[-1] - start)
            for number, source, target in run:
                stored = data[ends[number - first] - start : ends[number - first + 1] - start]
                _unpack(stored, file, number, memory)
                yield 0, source, target

    return blocks, pieces()


def _room(file: File, count: int) -> Voxels:
    """Return an array for some blocks, with any content."""
    header = file.header
    count = max(1, min(count, RUN // header.nbytes))
    shape = count, *(header.side,) * 3, header.channels
    return _SCRATCH.of("blocks", count * header.nbytes).view(header.stored).reshape(shape)


def _read(file: File, start: int, size: int) -> memoryview:
    """Return some bytes of a file, until the next call in the thread."""
    memory = memoryview(_SCRATCH.of("packed", size).data)
    with reading(file.path):
        read = os.preadv(file.fd, [memory], start)
    return memory if read == size else memoryview(read_exactly(file.fd, size, start, file.path))


class _Scratch(threading.local):
    """Memory of a thread, which is used again: new memory takes longer than reading to it."""

    def __init__(self) -> None:
        self._kept: dict[str, NDArray[np.uint8]] = {}

    def of(self, name: str, nbytes: int) -> NDArray[np.uint8]:
        """Return bytes with any content; those of the same name are overwritten."""
        kept = self._kept.get(name)
        if kept is None or len(kept) < nbytes:
            kept = np.empty(nbytes, np.uint8)
            if nbytes <= 2 * RUN:
                self._kept[name] = kept
        return kept[:nbytes]


_SCRATCH = _Scratch()


def _unpack(stored: Any, file: File, number: int, block: memoryview) -> None:
    """Unpack a block to its bytes."""
    try:
        data = imagecodecs.lz4_decode(stored, out=block)
    except (RuntimeError, ValueError) as error:
        raise SourceError(f"{file.path}: the block {number} is damaged: {error}.") from error
    if len(data) != len(block):
        raise SourceError(
            f"{file.path}: the block {number} is damaged: it unpacks to {len(data)} bytes, not to "
            f"{len(block)}."
        )


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


def _runs(parts: list[Part], most: int, gap: int) -> Iterator[list[Part]]:
    """Yield runs of blocks that are read together: at most `most`, each up to `gap` further."""
    run: list[Part] = []
    for part in parts:
        if run and (part[0] > run[-1][0] + gap or part[0] - run[0][0] >= most):
            yield run
            run = []
        run.append(part)
    yield run


@lru_cache(1 << 10)
def _row(nbytes: int) -> np.dtype[Any]:
    """Return a dtype of so many bytes."""
    return np.dtype((np.void, nbytes))


@lru_cache(1 << 15)
def _spread(value: int) -> int:
    """Return a number with two zeros before each of its bits."""
    return sum((value >> bit & 1) << 3 * bit for bit in range(value.bit_length()))
