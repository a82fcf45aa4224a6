"""Strips of large arrays, so that an encoder's temporary arrays stay small."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["SMALL", "STRIP", "fill", "joined", "strips", "trimmed", "written"]

STRIP = 1 << 20
"""Voxels that an encoder processes in one step. The temporary arrays of a strip take a few dozen
MiB at most, while the cost of Python calls per strip is negligible."""

SMALL = 4 << 20
"""Bytes of a file up to which the memory of a second copy is negligible."""


def strips(shape: Sequence[int], most: int = STRIP) -> Iterator[tuple[slice, ...]]:
    """Divide an array into boxes that follow one another in C order.

    Parameters
    ----------
    shape : sequence of int
        Shape of the array.
    most : int
        Elements of the largest box, at least 1.

    Yields
    ------
    tuple of slice
        A box of whole rows of the last axis, unless one row is larger than `most`.
    """
    outer, *inner = shape
    size = math.prod(inner)
    if inner and size > most:
        for index in range(outer):
            for box in strips(inner, most):
                yield slice(index, index + 1), *box
        return
    step = most // max(1, size)
    for start in range(0, outer, step):
        yield slice(start, min(outer, start + step)), *[slice(0, n) for n in inner]


def joined(parts: Iterable[bytes | memoryview], most: int) -> bytes | memoryview:
    """Return the concatenated parts of a file, in no more memory than the largest file takes.

    Parameters
    ----------
    parts : iterable of bytes or memoryview
        Flat pieces of the file.
    most : int
        Bytes of the largest file.
    """
    if most <= SMALL:
        return b"".join(parts)
    # The system allocates pages only when they are written.
    buffer = np.empty(most, np.uint8)
    return trimmed(buffer.data, fill(buffer, parts))


def fill(buffer: NDArray[np.uint8], parts: Iterable[bytes | memoryview]) -> int:
    """Copy flat bytes into a buffer one after the other, and return their total size."""
    size = 0
    for part in parts:
        buffer[size : size + len(part)] = np.frombuffer(part, np.uint8)
        size += len(part)
    return size


def written(encode: Callable[[Any], Any], most: int) -> bytes | memoryview:
    """Return the output of a library without the copy that its own buffer would need.

    Parameters
    ----------
    encode : callable
        Writes into the given uint8 array, or into memory of its own if given None. Returns
        what it wrote.
    most : int
        Bytes that it writes, at most.
    """
    if most <= SMALL:
        return bytes(encode(None))
    buffer = np.empty(most, np.uint8)
    return trimmed(buffer.data, len(encode(buffer)))


def trimmed(buffer: memoryview, size: int) -> bytes | memoryview:
    """Return the first bytes of a buffer that has no other user.

    If at most half of the buffer is used, it is a copy: answers are cached, and must not hold much
    more memory than their size. Used pages and copy together never exceed the buffer's size.
    """
    return buffer[:size] if 2 * size > len(buffer) else bytes(buffer[:size])
