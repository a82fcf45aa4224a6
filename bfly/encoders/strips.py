"""Large arrays in strips, so that what an encoder makes of one takes little memory at once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["SMALL", "STRIP", "fill", "joined", "strips", "trimmed", "written"]

STRIP = 1 << 20
"""Voxels that an encoder works on at once. All temporary arrays of a strip together take a few
dozen MiB at most, while the cost of a Python call for each strip does not count."""

SMALL = 4 << 20
"""Bytes of a file up to which a second copy of it does not matter."""


def strips(shape: Sequence[int], most: int = STRIP) -> Iterator[tuple[slice, ...]]:
    """Divide an array into boxes that follow one another in C order.

    Parameters
    ----------
    shape : sequence of int
        Of the array.
    most : int
        Elements of the largest box, at least 1.

    Yields
    ------
    tuple of slice
        A box: whole rows of the last axis, unless one row is larger than `most`.
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
    """Return the parts of a file as one, in no more memory than the largest file takes.

    Parameters
    ----------
    parts : iterable of bytes or memoryview
        Flat, of bytes.
    most : int
        Bytes that they take together at most.
    """
    if most <= SMALL:
        return b"".join(parts)
    # The system provides pages of memory only for what is written.
    whole = np.empty(most, np.uint8)
    return trimmed(whole.data, fill(whole, parts))


def fill(buffer: NDArray[np.uint8], parts: Iterable[bytes | memoryview]) -> int:
    """Write flat bytes one after the other into a buffer; return how many."""
    size = 0
    for part in parts:
        buffer[size : size + len(part)] = np.frombuffer(part, np.uint8)
        size += len(part)
    return size


def written(encode: Callable[[Any], Any], most: int) -> bytes | memoryview:
    """Return what a library writes, which would make a copy of what is in its own memory.

    Parameters
    ----------
    encode : callable
        Writes into the array that it is given, of uint8, or into memory of its own for None. The
        result is what was written.
    most : int
        Bytes that are written at most.
    """
    if most <= SMALL:
        return bytes(encode(None))
    whole = np.empty(most, np.uint8)
    return trimmed(whole.data, len(encode(whole)))


def trimmed(buffer: memoryview, size: int) -> bytes | memoryview:
    """Return the beginning of a buffer that nothing else uses.

    It is a copy where most of the buffer is not used: answers are kept, and should not keep much
    more memory than they say. Buffer and copy are never larger than the buffer could be alone.
    """
    return buffer[:size] if 2 * size > len(buffer) else bytes(buffer[:size])
