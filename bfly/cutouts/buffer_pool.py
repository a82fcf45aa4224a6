"""Reusable memory for large cutouts.

A new page costs the system as much time as the copy of voxels into it, since it has to be allocated
and cleared. So the memory of a released cutout is kept for the next one.
"""

from __future__ import annotations

import math
import threading
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from bfly.geometry import Zyx

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["BufferPool"]

SMALLEST = 4 << 20
"""Bytes: the allocator reuses smaller blocks itself."""

KEPT = 128 << 20
"""Bytes: 256³ labels of 64 bits. Free memory above this is returned to the system."""


class BufferPool:
    """Lends memory to arrays, and takes it back when the last view of the array is gone."""

    def __init__(self) -> None:
        # Garbage collection may return a block at any time, even while this thread takes one.
        self._lock = threading.RLock()
        self._free: list[Voxels] = []

    def empty(self, shape: Zyx, dtype: np.dtype[Any]) -> Voxels:
        """Return an array (zyx) with arbitrary values."""
        size = math.prod(shape) * dtype.itemsize
        if size < SMALLEST:
            return np.empty(shape, dtype)
        block = self._take(size)
        # An array over a foreign buffer is the base of all its views, and lives as long as they.
        array = np.frombuffer(block.data, dtype, math.prod(shape))
        weakref.finalize(array, self._give_back, block).atexit = False
        return array.reshape(shape)

    def _take(self, size: int) -> Voxels:
        """Take the smallest free block that is large enough, but not far too large."""
        with self._lock:
            fitting = [block for block in self._free if size <= block.nbytes <= 2 * size]
            if fitting:
                best = min(fitting, key=lambda block: block.nbytes)
                self._free = [block for block in self._free if block is not best]
                return best
        return np.empty(size, np.uint8)

    def _give_back(self, block: Voxels) -> None:
        with self._lock:
            self._free.append(block)
            while sum(block.nbytes for block in self._free) > KEPT:
                self._free.pop(0)
