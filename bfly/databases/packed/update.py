"""Write access to single packs, for a few rows."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

import numpy as np

from bfly.databases.packed.keys import HEADS, SIZES, headed, key_bytes, keys_of, packs
from bfly.databases.packed.rows import WordList
from bfly.geometry import ceil_div
from bfly.tables.columns import KEYS, among

if TYPE_CHECKING:
    from bfly.databases.packed.curve import Curve
    from bfly.databases.packed.keys import Pack
    from bfly.databases.packed.rows import RowLayout, Rows

__all__ = ["Edit"]


class Edit:
    """Replacement of old rows by new ones, in one order.

    Parameters
    ----------
    kind : str
        The order.
    curve, layout
        Those of the set of packs.
    old : Rows
        Stored rows with ids of the new rows.
    new : Rows
        Rows to write, sorted by id.
    words : list of str
        Texts of the new rows.
    """

    def __init__(
        self, kind: str, curve: Curve, layout: RowLayout, old: Rows, new: Rows, words: list[str]
    ) -> None:
        self._kind, self._curve, self._layout, self._words = kind, curve, layout, words
        self._id = KEYS[layout.table]
        self._ids = np.ascontiguousarray(new[self._id])
        self._old_keys, _ = self._keys(old)
        self._new_keys, self._new = self._keys(new)

    def _keys(self, rows: Rows) -> tuple[list[bytes], Rows]:
        """Return the keys of rows in the order, and the row of each key."""
        rows, heads = headed(self._kind, rows)
        keys = keys_of(self._kind, self._curve, rows, heads)
        data, width = key_bytes(keys).tobytes(), 8 * keys.shape[1]
        return [data[at : at + width] for at in range(0, len(data), width)], rows

    @property
    def keys(self) -> list[bytes]:
        """Keys of all old and new rows, ascending and unique."""
        return sorted({*self._old_keys, *self._new_keys})

    def result(self, found: dict[bytes, bytes]) -> tuple[list[Pack], list[bytes]]:
        """Return the packs to write and the keys of packs to remove.

        Parameters
        ----------
        found : dict
            Maps key to blob: the packs that `keys` belong to.
        """
        names, head = sorted(found), 8 * HEADS[self._kind]

        def home(key: bytes) -> bytes:
            place = bisect_right(names, key) - 1
            if place >= 0 and names[place][:head] == key[:head]:
                return names[place]
            return key[:head].ljust(len(key), b"\0")

        homes: dict[bytes, list[int]] = {home(key): [] for key in self._old_keys}
        for number, key in enumerate(self._new_keys):
            homes.setdefault(home(key), []).append(number)
        written: list[Pack] = []
        removed: list[bytes] = []
        for name, numbers in homes.items():
            pieces = self._merged(name, found.get(name), numbers)
            written += pieces
            if not pieces:
                removed.append(name)
        return written, removed

    def _merged(self, name: bytes, blob: bytes | None, numbers: list[int]) -> list[Pack]:
        layout = self._layout
        rows, words = layout.unpack([] if blob is None else [blob])
        rows = rows[~among(np.ascontiguousarray(rows[self._id]), self._ids)]
        added = self._new[numbers]
        for column in layout.texts:
            added[column] += len(words)
        rows = np.concatenate([rows, added])
        heads = None
        if HEADS[self._kind]:
            heads = np.full(len(rows), int.from_bytes(name[:8], "big"), np.uint64)
        rows = rows[np.argsort(key_bytes(keys_of(self._kind, self._curve, rows, heads)))]
        texts, size = WordList(words + self._words), SIZES[self._kind]
        if len(rows) <= 2 * size:
            return [(name, layout.pack(rows, texts))] if len(rows) else []
        # Split evenly, so that all parts can grow.
        size = ceil_div(len(rows), ceil_div(len(rows), size))
        first, *rest = packs(self._kind, self._curve, layout, texts, rows, heads, True, size)
        return [(name, first[1]), *rest]
