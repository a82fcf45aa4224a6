"""Rows as bytes: the layout of a table's rows, and how to pack and unpack them.

A pack without text columns is its concatenated rows. In a pack with text, rows hold indices into
the pack's list of texts. The pack is then the row count (4 bytes, little-endian), the rows, and the
list as JSON.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from bfly.errors import BadRequest
from bfly.tables.columns import IDS, POINT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from bfly.geometry import BoundingBox
    from bfly.tables.columns import Columns

__all__ = ["RowLayout", "Rows", "Texts", "WordList"]

TEXT = "O"
Rows = np.ndarray[Any, np.dtype[np.void]]
"""Structured array; text columns hold indices into a list."""


class Texts(Protocol):
    """Store of the texts that rows refer to by number."""

    def add(self, values: NDArray[Any]) -> NDArray[Any]:
        """Add texts and return their numbers."""

    def json(self, numbers: NDArray[Any]) -> bytes:
        """Return the texts with the given numbers as a JSON list."""


class WordList:
    """Texts in memory.

    Parameters
    ----------
    words : list of str
        Initial texts.
    """

    def __init__(self, words: Sequence[str] = ()) -> None:
        self.words = list(words)

    def add(self, values: NDArray[Any]) -> NDArray[Any]:
        """Add texts and return their numbers."""
        first = len(self.words)
        self.words += values.tolist()
        return np.arange(first, len(self.words))

    def json(self, numbers: NDArray[Any]) -> bytes:
        """Return the texts with the given numbers as a JSON list."""
        return json.dumps([self.words[number] for number in numbers]).encode()


@dataclass(frozen=True)
class RowLayout:
    """Layout of the rows of a table in packs.

    Parameters
    ----------
    table : {"neuron", "synapse"}
        The table.
    wide : bool
        Whether coordinates need 64 bits instead of 32.
    extras : tuple of (str, str)
        Name and dtype of each extra column; "O" is text.
    """

    table: str
    wide: bool = False
    extras: tuple[tuple[str, str], ...] = ()

    @cached_property
    def dtype(self) -> np.dtype[np.void]:
        """Dtype of a row."""
        point = "<i8" if self.wide else "<i4"
        extras = [(name, "<u4" if kind == TEXT else kind) for name, kind in self.extras]
        return np.dtype(
            [(name, "<u8") for name in IDS[self.table]] + [(name, point) for name in POINT] + extras
        )

    @cached_property
    def texts(self) -> list[str]:
        """Names of the text columns."""
        return [name for name, kind in self.extras if kind == TEXT]

    def including(self, columns: Columns) -> RowLayout:
        """Return a layout, equal to this one if possible, that also holds `columns`.

        Raises
        ------
        BadRequest
            A column cannot hold both its old and its new values.
        """
        limits = np.iinfo(np.int32)
        wide = self.wide or any(
            len(c) and (c.min() < limits.min or c.max() > limits.max)
            for c in (columns[name] for name in POINT)
        )
        extras = dict(self.extras)
        for name, column in columns.items():
            if name not in IDS[self.table] and name not in POINT:
                extras[name] = _common(name, extras.get(name), column)
        return RowLayout(self.table, wide, tuple(extras.items()))

    def rows(self, columns: Columns, texts: Texts) -> Rows:
        """Return columns as rows; missing columns are NaN, 0 or empty text."""
        numbers = {
            name: texts.add(column) if name in self.texts else column
            for name, column in columns.items()
        }
        return self.filled(numbers, len(columns[IDS[self.table][0]]), texts)

    def converted(self, rows: Rows, texts: Texts) -> Rows:
        """Return rows of another layout in this one, which must include it."""
        numbers = {name: rows[name] for name in rows.dtype.names or ()}
        return self.filled(numbers, len(rows), texts)

    def filled(self, numbers: Columns, count: int, texts: Texts) -> Rows:
        """Return columns, with texts as numbers, as rows; missing columns are filled."""
        kinds, rows = dict(self.extras), np.empty(count, self.dtype)
        for name in self.dtype.names or ():
            if name in numbers:
                rows[name] = numbers[name]
            elif name in self.texts:
                rows[name] = texts.add(np.array([""], object))[0]
            else:
                rows[name] = np.nan if np.dtype(kinds[name]).kind == "f" else 0
        return rows

    def columns(self, rows: Rows, words: Sequence[str]) -> Columns:
        """Return rows as columns; `words` are their texts."""
        result: Columns = {name: rows[name].astype(np.uint64) for name in IDS[self.table]}
        for name in POINT:
            result[name] = rows[name].astype(np.int64)
        for name, kind in self.extras:
            column = rows[name]
            result[name] = np.array(words, object)[column] if kind == TEXT else column.copy()
        return result

    def entry(self, blob: bytes, key: int) -> dict[str, Any]:
        """Return the row with an id from a pack sorted by id; empty if it is missing."""
        rows = self._rows_of(blob) if self.texts else np.frombuffer(blob, self.dtype)
        ids = rows[IDS[self.table][0]]
        place = bisect_left(ids, key)
        if place == len(rows) or ids[place] != key:
            return {}
        entry = dict(zip(self.dtype.names or (), rows.item(place), strict=True))
        if self.texts:
            words = json.loads(bytes(blob[4 + rows.nbytes :]))
            entry |= {name: words[entry[name]] for name in self.texts}
        return entry

    def inside(self, rows: Rows, box: BoundingBox) -> NDArray[np.bool_]:
        """Return a mask of the rows in a box (voxels of mip 0)."""
        result = np.ones(len(rows), bool)
        for name, low, high in zip(POINT, box.start, box.stop, strict=True):
            column = np.ascontiguousarray(rows[name])
            result &= (column >= low) & (column < high)
        return result

    def pack(self, rows: Rows, texts: Texts) -> bytes:
        """Pack rows, which must be contiguous."""
        if not self.texts:
            return rows.tobytes()
        used, places = np.unique(np.stack([rows[name] for name in self.texts]), return_inverse=True)
        rows = rows.copy()
        for name, column in zip(self.texts, places.reshape(len(self.texts), -1), strict=True):
            rows[name] = column
        return len(rows).to_bytes(4, "little") + rows.tobytes() + texts.json(used)

    def numbers(self, blobs: Iterable[bytes]) -> Rows:
        """Return the rows of some packs without their texts."""
        if not self.texts:
            return np.frombuffer(b"".join(blobs), self.dtype)
        return np.concatenate([np.empty(0, self.dtype), *map(self._rows_of, blobs)])

    def unpack(self, blobs: Iterable[bytes]) -> tuple[Rows, list[str]]:
        """Return the rows of some packs, and their texts."""
        if not self.texts:
            return self.numbers(blobs), []
        parts, words = [np.empty(0, self.dtype)], list[str]()
        for blob in blobs:
            rows = self._rows_of(blob).copy()
            for name in self.texts:
                rows[name] += len(words)
            words += json.loads(bytes(blob[4 + rows.nbytes :]))
            parts.append(rows)
        return np.concatenate(parts), words

    def _rows_of(self, blob: bytes) -> Rows:
        return np.frombuffer(blob, self.dtype, int.from_bytes(blob[:4], "little"), offset=4)


def _common(name: str, old: str | None, column: NDArray[Any]) -> str:
    if column.dtype.kind in "OU":
        if old not in (None, TEXT):
            raise BadRequest(f"Column {name} holds numbers; text is not allowed in it.")
        return TEXT
    if column.dtype.kind not in "biuf":
        raise BadRequest(
            f"Column {name} has the dtype {column.dtype}; allowed are numbers and text."
        )
    new = column.dtype.newbyteorder("<").str
    if old is None or old == new:
        return new
    if old == TEXT:
        raise BadRequest(f"Column {name} holds text; numbers are not allowed in it.")
    with np.errstate(invalid="ignore", over="ignore"):
        stored = column.astype(old)
        again = stored.astype(column.dtype)
    # A large integer may wrap and come back unchanged, or compare equal after rounding.
    if all(np.array_equal(cast, column, equal_nan=True) for cast in (stored, again)):
        return old
    both = np.promote_types(old, new)
    if both.kind == "f" and "f" not in (old[1], new[1]):
        raise BadRequest(f"Column {name} would need both negative numbers and those from 2^63.")
    return both.newbyteorder("<").str
