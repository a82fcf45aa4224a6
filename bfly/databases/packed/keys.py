"""Orders that rows are packed in, and their keys.

A synapse is stored in three orders: by id, by position along a Morton curve, and once for each of
its neurons, by neuron and position. A synapse above tier 0 is also stored by tier and position. A
neuron is stored by id. Each order is cut into packs of a few hundred rows. The key of a pack is
less than or equal to the keys of all its rows. So the pack of a row is the one with the greatest
key not above the row's. Keys are concatenated big-endian unsigned integers, compared as bytes.
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
    """Shared value of the rows of a pack: the neuron of links, or the tier; else None."""

Pack = tuple[bytes, bytes]
"""A key and a blob."""

__all__ = ["HEADS", "KINDS", "ORDERS", "Heads", "Pack", "headed", "key_bytes", "keys_of", "packs"]

ORDERS = {"synapse": ("synapse", "place", "link", "tier"), "neuron": ("neuron",)}
"""Orders of the rows of each table; the first is by id."""

KINDS = (*ORDERS["synapse"], *ORDERS["neuron"])
"""All orders."""

SIZES = {"synapse": 224, "place": 112, "link": 1024, "tier": 224, "neuron": 224}
"""Maximum rows of a new pack: 224 rows of 36 bytes fill a SQLite page of 8 KiB, 112 rows half
a page."""

HEADS = {"synapse": 0, "place": 0, "link": 1, "tier": 1, "neuron": 0}
"""Number of leading key integers shared by all rows of a pack. The first pack with them has
zeros for the rest of its key, so that every row with them has a pack."""


def keys_of(kind: str, curve: Curve, rows: Rows, heads: Heads = None) -> NDArray[np.uint64]:
    """Return the keys of rows in an order, N × integers."""
    if kind in KEYS:
        return np.ascontiguousarray(rows[KEYS[kind]])[:, None]
    parts = [curve.numbers(*(rows[name] for name in POINT)), rows["__id"]]
    return np.stack(parts if heads is None else [heads, *parts], axis=1)


def key_bytes(keys: NDArray[np.uint64]) -> NDArray[np.bytes_]:
    """Return keys as bytes. numpy hides their trailing zeros; `tobytes` keeps them."""
    width = 8 * keys.shape[1]
    flat: NDArray[np.bytes_] = np.ascontiguousarray(keys.astype(">u8")).view(f"S{width}")[:, 0]
    return flat


def headed(kind: str, rows: Rows) -> tuple[Rows, Heads]:
    """Return the rows stored in an order, in input order, and their heads.

    Links hold each row once for each of its neurons.
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
        Those of the rows.
    rows : Rows
        Sorted.
    heads : numpy.ndarray, optional
        As `headed` returns them.
    before : bool
        Whether earlier packs start with the same `HEADS`.
    size : int, optional
        Maximum rows of a pack; default is that of the order.
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
