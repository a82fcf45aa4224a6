"""The orders that rows are packed in, and their keys.

A synapse is kept in three orders: by id, by place along a Morton curve, and once for each of
its neurons, by neuron and place. One above tier 0 is also kept by tier and place. A neuron is
kept by id. Each order is cut into packs of some
hundred rows. A pack has a key, below or equal to those of all its rows, so that the pack of a
row is the one with the greatest key not above the row's. Keys are big-endian unsigned
integers one after another, and are compared as bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bfly.databases.lod import tiers_of
from bfly.tables.columns import KEYS, POINT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bfly.databases.packed.curve import Curve
    from bfly.databases.packed.rows import RowLayout, Rows, Texts

    Heads = NDArray[np.uint64] | None
    """What the rows of a pack share: the neuron of links, the tier; None in other orders."""

Pack = tuple[bytes, bytes]
"""A key and a blob."""

__all__ = ["HEADS", "KINDS", "ORDERS", "Heads", "Pack", "headed", "key_bytes", "keys_of", "packs"]

ORDERS = {"synapse": ("synapse", "place", "link", "tier"), "neuron": ("neuron",)}
"""The orders that the rows of a table are kept in; the first is by id."""

KINDS = (*ORDERS["synapse"], *ORDERS["neuron"])
"""All orders."""

SIZES = {"synapse": 224, "place": 112, "link": 1024, "tier": 224, "neuron": 224}
"""The most rows of a new pack: 224 of 36 bytes fill a page of SQLite's 8 KiB, half as many
half of one."""

HEADS = {"synapse": 0, "place": 0, "link": 1, "tier": 1, "neuron": 0}
"""How many integers of a key all rows of a pack have in common. The first pack that has
them goes on with zeros, so that every row with them finds a pack."""


def keys_of(kind: str, curve: Curve, rows: Rows, heads: Heads = None) -> NDArray[np.uint64]:
    """Give the keys of rows in an order, N × integers."""
    if kind in KEYS:
        return np.ascontiguousarray(rows[KEYS[kind]])[:, None]
    parts = [curve.numbers(*(rows[name] for name in POINT)), rows["__id"]]
    return np.stack(parts if heads is None else [heads, *parts], axis=1)


def key_bytes(keys: NDArray[np.uint64]) -> NDArray[np.bytes_]:
    """Give keys as bytes; numpy hides zeros at their ends, `tobytes` shows them."""
    width = 8 * keys.shape[1]
    flat: NDArray[np.bytes_] = np.ascontiguousarray(keys.astype(">u8")).view(f"S{width}")[:, 0]
    return flat


def headed(kind: str, rows: Rows) -> tuple[Rows, Heads]:
    """Give the rows that are kept in an order, as they come, and their heads.

    Links are the rows once for each of their neurons.
    """
    if kind == "tier":
        tiers = tiers_of(rows["__id"])
        above = np.flatnonzero(tiers)
        return rows.take(above), tiers[above]
    if kind == "link":
        neurons = np.stack([rows["n1"], rows["n2"]], axis=1)
        wanted = np.stack([np.ones(len(rows), bool), rows["n1"] != rows["n2"]], axis=1)
        return rows.take(np.flatnonzero(wanted) // 2), neurons[wanted]
    return rows, None


def packs(
    kind: str,
    curve: Curve,
    layout: RowLayout,
    texts: Texts,
    rows: Rows,
    heads: Heads = None,
    before: bool = False,
    size: int | None = None,
) -> Iterator[Pack]:
    """Cut sorted rows into packs.

    Parameters
    ----------
    kind : str
        The order.
    curve, layout, texts
        Of the rows.
    rows : Rows
        Sorted.
    heads : numpy.ndarray, optional
        As `headed` gives them.
    before : bool
        There are packs before these that start with the same `HEADS`.
    size : int, optional
        The most rows of a pack; else that of the order.
    """
    if not len(rows):
        return
    runs = np.zeros(1, int)
    if heads is not None:
        runs = np.append(runs, np.flatnonzero(heads[1:] != heads[:-1]) + 1)
    sizes = np.diff(runs, append=len(rows))
    places = np.arange(len(rows)) - np.repeat(runs, sizes)
    starts = np.flatnonzero(places % (size or SIZES[kind]) == 0)
    keys = keys_of(kind, curve, rows.take(starts), None if heads is None else heads[starts])
    first = places[starts] == 0
    first[0] &= not before
    keys[first, HEADS[kind] :] = 0
    names, width = key_bytes(keys).tobytes(), 8 * keys.shape[1]
    ends = np.append(starts[1:], len(rows)).tolist()
    for number, (start, end) in enumerate(zip(starts.tolist(), ends, strict=True)):
        yield names[number * width : (number + 1) * width], layout.pack(rows[start:end], texts)
