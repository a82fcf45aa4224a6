"""Rows and entries of the documented databases in one form: numbers, and mappings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["as_entry", "as_rows"]


def as_rows(values: ArrayLike, width: int) -> NDArray[np.uint64]:
    """Return rows as uint64 without loss; negative numbers as two's complement.

    Raises
    ------
    ValueError
        The shape is not N × `width`.
    """
    rows = np.asarray(values, None if isinstance(values, np.ndarray) else object)
    if rows.size == 0:
        return np.empty((0, width), np.uint64)
    if rows.ndim != 2 or rows.shape[1] != width:
        raise ValueError(f"The rows have the shape {rows.shape}; allowed is (N, {width}).")
    if rows.dtype == object:
        return np.array([[int(v) & 0xFFFFFFFFFFFFFFFF for v in row] for row in rows], np.uint64)
    if rows.dtype.kind == "f":
        rows = rows.astype(np.int64)
    return rows.astype(np.uint64)


def as_entry(entry: Any, names: Sequence[str]) -> Mapping[str, Any]:
    """Return an entry, as a documented database gives it, as a mapping.

    Parameters
    ----------
    entry : object
        A mapping, or a row with a value for each of `names`. None, a text (the name of a
        table) and anything empty mean that there is no entry.
    names : sequence of str
        The keys of a row without names of its own.
    """
    if isinstance(entry, dict):
        return entry
    if entry is None or isinstance(entry, str) or not len(entry):
        return {}
    if hasattr(entry, "keys"):
        return {key: entry[key] for key in entry.keys()}  # noqa: SIM118 - sqlite3.Row yields values
    own = entry.dtype.names if isinstance(entry, np.void) else None
    return dict(zip(own or names, entry, strict=True))
