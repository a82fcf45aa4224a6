"""Merging of sorted files of rows, however many and large they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from bfly.segments.rows import RowFile

__all__ = ["AT_ONCE", "by_key", "merged"]

AT_ONCE = 256
"""Files that are merged at once. Each is read in parts of `MEMORY` / `AT_ONCE`, which are large
enough for a disk."""

MEMORY = 64 << 20
"""Bytes of the rows in memory."""

Keys: TypeAlias = "Callable[[NDArray[Any]], NDArray[np.uint64]]"


def merged(files: Sequence[RowFile], keys: Keys, memory: int = MEMORY) -> Iterator[NDArray[Any]]:
    """Yield the rows of files in ascending order of a key, in parts.

    Parameters
    ----------
    files : sequence of RowFile
        At most `AT_ONCE`, each in ascending order of the key.
    keys : callable
        Returns the keys of rows, uint64.
    memory : int
        Bytes of rows that are held, approximately.
    """
    lanes = [_Lane(file, keys, memory // len(files) // 2) for file in files if len(file)]
    while lanes:
        # All rows up to the least of the last keys in memory are there.
        bound = min(lane.keys[-1] for lane in lanes)
        rows = np.concatenate([lane.take(bound) for lane in lanes])
        yield rows[np.argsort(keys(rows), kind="stable")]
        lanes = [lane for lane in lanes if lane.more()]


class _Lane:
    """A file that is merged, and its next rows."""

    def __init__(self, file: RowFile, keys: Keys, nbytes: int) -> None:
        self.file, self._keys = file, keys
        self._step = max(1, nbytes // file.dtype.itemsize)
        self._next = 0
        self.rows: NDArray[Any] = np.empty(0, file.dtype)
        self.keys: NDArray[np.uint64] = np.empty(0, np.uint64)
        self.more()

    def take(self, bound: np.uint64) -> NDArray[Any]:
        """Remove and return the rows up to a key."""
        count = int(np.searchsorted(self.keys, bound, "right"))
        rows = self.rows[:count]
        self.rows, self.keys = self.rows[count:], self.keys[count:]
        return rows

    def more(self) -> bool:
        """Read the next rows if none are left; return False at the end of the file."""
        if not len(self.rows) and self._next < len(self.file):
            self.rows = self.file.read(self._next, self._next + self._step)
            self.keys = self._keys(self.rows)
            self._next += len(self.rows)
        return bool(len(self.rows))


def by_key(parts: Iterable[NDArray[Any]], keys: Keys) -> Iterator[NDArray[Any]]:
    """Yield the rows of sorted parts in parts that have all rows of each of their keys."""
    held: list[NDArray[Any]] = []
    for part in parts:
        if not len(part):
            continue
        key = keys(part)
        start = int(np.searchsorted(key, key[-1], "left"))
        if start:
            yield np.concatenate([*held, part[:start]])
            held = [part[start:]]
        elif held and keys(held[-1])[-1] != key[-1]:
            yield np.concatenate(held)
            held = [part]
        else:
            held.append(part)
    if held:
        yield np.concatenate(held)
