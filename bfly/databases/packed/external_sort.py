"""External sort: sorts more rows than memory holds, in temporary files."""

from __future__ import annotations

import json
import mmap
import tempfile
from array import array
from collections import deque
from os import SEEK_END
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.errors import DatabaseError
from bfly.tables.columns import concatenated, empty, ranges_of, widened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import RawIOBase

    from numpy.typing import NDArray

    from bfly.databases.packed.rows import RowLayout, Rows
    from bfly.tables.columns import Columns, Ranges

    NewFile = Callable[[], RawIOBase]
    Key = Callable[[Rows], NDArray[np.uint64]]

__all__ = ["TextStore", "RowFile", "Spool", "bounds_of", "sort", "temporary_file"]

BUCKET = 1 << 22
"""Rows sorted at once in memory; about 200 MB."""

CHUNK = 1 << 19
"""Rows read at once outside of sorting."""

RECENT = 1 << 20
"""Texts cached in memory, so that a repeated text is stored once."""


class RowFile:
    """Rows in a temporary file, read once.

    Parameters
    ----------
    new_file : callable
        Creates an unbuffered temporary file that is deleted when the process ends in any way.
    dtype : numpy.dtype
        Dtype of the rows.
    """

    def __init__(self, new_file: NewFile, dtype: np.dtype[np.void]) -> None:
        self._file = new_file()
        self._dtype = dtype
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, rows: Rows) -> None:
        """Add rows at the end."""
        if len(rows):
            _write(self._file, np.ascontiguousarray(rows).view(np.uint8).data)
            self._count += len(rows)

    def chunks(self, size: int = CHUNK) -> Iterator[Rows]:
        """Yield all rows in order, at most `size` at once, then delete the file."""
        self._file.seek(0)
        for start in range(0, self._count, size):
            rows = np.empty(min(size, self._count - start), self._dtype)
            view = rows.view(np.uint8).data
            while len(view):
                view = view[self._file.readinto(view) :]
            yield rows
        self._file.close()


def temporary_file(folder: str | None) -> RawIOBase:
    """Create a file that is deleted on close, or when the process ends in any way.

    Raises
    ------
    DatabaseError
        The file cannot be created in that folder.
    """
    try:
        return tempfile.TemporaryFile(dir=folder, buffering=0)
    except OSError as error:
        raise DatabaseError(f"No temporary file can be made in {folder}: {error}") from error


def _write(file: RawIOBase, data: memoryview | bytes) -> None:
    view = memoryview(data)
    try:
        while len(view):
            view = view[file.write(view) or 0 :]
    except OSError as error:
        raise DatabaseError(f"A temporary file cannot be written: {error}") from error


class TextStore:
    """Texts in a temporary file, as `rows.Texts`; `new_file` is as for `RowFile`."""

    def __init__(self, new_file: NewFile) -> None:
        self._new_file = new_file
        self._file: RawIOBase | None = None
        self._ends = array("Q", [0])
        self._recent: dict[str, int] = {}
        self._map: mmap.mmap | None = None

    def add(self, values: NDArray[Any]) -> NDArray[Any]:
        """Add texts and return their numbers."""
        numbers, new = np.empty(len(values), np.uint32), []
        for place, value in enumerate(values.tolist()):
            number = self._recent.get(value)
            if number is None:
                if len(self._recent) >= RECENT:
                    self._recent.clear()
                number = self._recent[value] = len(self._ends) - 1
                new.append(json.dumps(value).encode())
                self._ends.append(self._ends[-1] + len(new[-1]))
            numbers[place] = number
        if new:
            self._file = self._file or self._new_file()
            self._file.seek(0, SEEK_END)
            _write(self._file, b"".join(new))
            self._map = None
        return numbers

    def json(self, numbers: NDArray[Any]) -> bytes:
        """Return the texts with the given numbers as a JSON list."""
        if self._map is None and self._file is not None:
            self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        data, ends = self._map or b"", self._ends
        return b"[%s]" % b",".join([data[ends[n] : ends[n + 1]] for n in numbers.tolist()])


class Spool:
    """All rows of a table before sorting; its batches may have different dtypes.

    Parameters
    ----------
    layout : RowLayout
        Layout to start with; `append` extends it.
    new_file : callable
        As for `RowFile`.

    Attributes
    ----------
    layout : RowLayout
        Layout that holds all rows so far.
    ranges : Ranges
        Ranges of all rows so far.
    """

    def __init__(self, layout: RowLayout, new_file: NewFile) -> None:
        self.layout = layout
        self.ranges: Ranges = {}
        self.texts = TextStore(new_file)
        self._sample: list[Columns] = [empty(layout.table)]
        self._new_file = new_file
        self._piles: list[tuple[RowLayout, RowFile]] = []

    def __len__(self) -> int:
        return sum(len(pile) for _, pile in self._piles)

    def append(self, columns: Columns) -> None:
        """Add a batch."""
        self.layout = self.layout.including(columns)
        self.ranges = widened(self.ranges, ranges_of(columns))
        if not self._piles or self._piles[-1][0] != self.layout:
            self._piles.append((self.layout, RowFile(self._new_file, self.layout.dtype)))
        self._piles[-1][1].append(self.layout.rows(columns, self.texts))
        sampled = {name: columns[name][::64].copy() for name in self._sample[0]}
        self._sample.append(sampled)

    def sampled(self) -> Columns:
        """Return the first and every 64th row of each batch, without extra columns."""
        return concatenated(self.layout.table, self._sample)

    def chunks(self) -> Iterator[Rows]:
        """Yield all rows in order, in `layout`, then delete the files."""
        for layout, pile in self._piles:
            for rows in pile.chunks():
                yield rows if layout == self.layout else self.layout.converted(rows, self.texts)


def bounds_of(sample: NDArray[np.uint64], total: int) -> NDArray[np.uint64]:
    """Return the keys that split `total` rows into buckets, from a sample of the keys."""
    buckets = -(-total // BUCKET)
    if buckets < 2:
        return np.empty(0, np.uint64)
    places = np.linspace(0, len(sample) - 1, buckets + 1)[1:-1].astype(int)
    bounds, times = np.unique(np.sort(sample)[places], return_counts=True)
    # A key that fills more than one bucket gets its own bucket, which needs no sorting.
    full = bounds[(times > 1) & (bounds < np.iinfo(np.uint64).max)]
    return np.union1d(bounds, full + np.uint64(1))


def sort(
    chunks: Iterator[Rows],
    key: Key,
    bounds: NDArray[np.uint64],
    dtype: np.dtype[np.void],
    new_file: NewFile,
    once: bool = False,
) -> Iterator[Rows]:
    """Sort rows by a key; the sort is stable.

    Parameters
    ----------
    chunks : iterator of Rows
        The rows.
    key : callable
        Returns the key of each row.
    bounds : numpy.ndarray
        Ascending keys that divide the rows into buckets that fit in memory.
    dtype : numpy.dtype
        Dtype of the rows.
    new_file : callable
        As for `RowFile`.
    once : bool
        Keep only the last row of each key.

    Yields
    ------
    Rows
        Sorted chunks in ascending order. All rows with one key are in one chunk, except for a
        key with its own bucket.
    """
    piles = [RowFile(new_file, dtype) for _ in range(len(bounds) + 1)]
    for rows in chunks:
        if len(piles) == 1:
            piles[0].append(rows)
            continue
        # Here and below: `take` on structured rows is ten times faster than indexing.
        bucket = np.searchsorted(bounds, key(rows), "right").astype(np.uint16)
        rows = rows.take(np.argsort(bucket, kind="stable"))
        ends = np.cumsum(np.bincount(bucket, minlength=len(piles)))
        for pile, begin, end in zip(piles, ends - np.diff(ends, prepend=0), ends, strict=True):
            pile.append(rows[begin:end])
    for number, pile in enumerate(piles):
        if 0 < number < len(bounds) and bounds[number] - bounds[number - 1] == 1:
            runs = pile.chunks(BUCKET)
            yield from (rows[-1:] for rows in deque(runs, maxlen=1)) if once else runs
        elif len(pile):
            (rows,) = pile.chunks(len(pile))
            keys = key(rows)
            order = np.argsort(keys, kind="stable")
            if once:
                keys = keys[order]
                order = order[np.append(keys[1:] != keys[:-1], True)]
            yield rows.take(order)
