"""Rows as columns: equally long arrays by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bfly.geometry import BoundingBox

    Ids = np.ndarray[Any, np.dtype[np.uint64]]

__all__ = [
    "IDS",
    "KEYS",
    "ENDS",
    "POINT",
    "Columns",
    "Ranges",
    "among",
    "concatenated",
    "empty",
    "entries_of",
    "filled",
    "inside",
    "latest",
    "partners_of",
    "ranges_of",
    "typed",
    "unplaced",
    "widened",
]

Columns = dict[str, np.ndarray[Any, np.dtype[Any]]]
"""Synapses have ``__id``, ``n1``, ``n2`` (uint64) and ``z``, ``y``, ``x`` (int64, voxels of mip
0). Neurons have ``neuron`` (uint64), ``z``, ``y``, ``x``. Both may have extra columns of numbers or
text (dtype O)."""

KEYS = {"neuron": "neuron", "synapse": "__id"}
"""Id column of each table."""

IDS = {"neuron": ("neuron",), "synapse": ("__id", "n1", "n2")}
POINT = ("z", "y", "x")
ENDS = tuple(tuple(f"{side}_{axis}" for axis in POINT) for side in ("pre", "post"))
"""Optional columns with the presynaptic and postsynaptic positions of a synapse: voxels of mip 0
as float32, NaN where missing."""

Ranges = dict[str, tuple[float, float]]
"""Minimum and maximum of each column of numbers; integers stay integers."""


def empty(table: str) -> Columns:
    """Return the columns of a table with zero rows."""
    ids = {name: np.empty(0, np.uint64) for name in IDS[table]}
    return {**ids, **{name: np.empty(0, np.int64) for name in POINT}}


def typed(table: str, values: Mapping[str, Any]) -> Columns:
    """Cast columns to the dtypes of a table; missing columns but the id are zeros.

    Parameters
    ----------
    table : {"neuron", "synapse"}
        The table.
    values : mapping of str to array
        Values of any dtype; integers beyond 63 bits as Python integers or uint64.
    """
    size = max((len(column) for column in values.values()), default=0)
    result: Columns = {}
    for name in (*IDS[table], *POINT):
        if name in values:
            result[name] = _whole(values[name], np.uint64 if name in IDS[table] else np.int64)
        elif name != KEYS[table]:
            result[name] = np.zeros(size, np.uint64 if name in IDS[table] else np.int64)
    for name, column in values.items():
        if name not in result:
            result[name] = _number_or_text(np.asarray(column))
    return result


def _whole(column: Any, dtype: Any) -> np.ndarray[Any, np.dtype[Any]]:
    column = np.asarray(column)
    if column.dtype.kind == "O":
        low = int(np.iinfo(dtype).min)
        return np.array([(int(v) - low) % 2**64 + low for v in column], dtype)
    result: np.ndarray[Any, np.dtype[Any]] = column.astype(dtype)
    return result


def _number_or_text(column: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[Any]]:
    if column.dtype.kind == "O":
        plain = np.array(column.tolist())
        return plain if plain.dtype.kind in "iufb" else np.array(list(map(str, column)), object)
    return column


def entries_of(columns: Columns) -> list[dict[str, Any]]:
    """Return each row as a dictionary of Python values."""
    names = list(columns)
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [dict(zip(names, row, strict=True)) for row in rows]


def concatenated(table: str, batches: Iterable[Columns]) -> Columns:
    """Concatenate batches; a column missing from a batch is filled."""
    parts = [batch for batch in batches if len(batch[KEYS[table]])]
    if not parts:
        return empty(table)
    names = list(dict.fromkeys(name for part in parts for name in part))
    like = {name: next(part[name] for part in parts if name in part) for name in names}
    full = [filled(part, like) for part in parts]
    return {name: np.concatenate([part[name] for part in full]) for name in names}


def filled(rows: Columns, like: Columns) -> Columns:
    """Return rows with the columns of others: empty text, NaN or 0 where they have none."""
    size = len(next(iter(rows.values())))
    columns: Columns = {}
    for name, column in like.items():
        missing: Any = {"O": "", "f": np.nan}.get(column.dtype.kind, 0)
        columns[name] = rows[name] if name in rows else np.full(size, missing, column.dtype)
    return columns


def inside(columns: Columns, box: BoundingBox) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return a mask of the rows in a box (voxels of mip 0)."""
    result = np.ones(len(columns["z"]), bool)
    for name, low, high in zip(POINT, box.start, box.stop, strict=True):
        result &= (columns[name] >= low) & (columns[name] < high)
    return result


def among(values: Ids, known: Ids) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return a mask of the values that are in `known`, which is sorted."""
    if not len(known):
        return np.zeros(len(values), bool)
    places = np.searchsorted(known, values)
    places[places == len(known)] = 0
    hit: np.ndarray[Any, np.dtype[np.bool_]] = known[places] == values
    return hit


def ranges_of(columns: Columns) -> Ranges:
    """Return the finite minimum and maximum of each column of numbers, if any."""
    ranges = {}
    for name, column in columns.items():
        if column.dtype.kind == "f":
            column = column[np.isfinite(column)]
        if column.dtype.kind in "biuf" and len(column):
            ranges[name] = column.min().item(), column.max().item()
    return ranges


def widened(ranges: Ranges, more: Ranges) -> Ranges:
    """Return the union of the ranges of each column."""
    return {
        **ranges,
        **{
            name: (min(low, ranges.get(name, (low,))[0]), max(high, ranges.get(name, (high,))[-1]))
            for name, (low, high) in more.items()
        },
    }


def partners_of(pre: Ids, post: Ids, neuron: int) -> tuple[Ids, Ids]:
    """Return the postsynaptic, then the presynaptic partners of a neuron, one per synapse.

    Parameters
    ----------
    pre, post : numpy.ndarray
        Neurons of some synapses, which must include all synapses of `neuron`.
    neuron : int
        The neuron.
    """
    return post[pre == np.uint64(neuron)], pre[post == np.uint64(neuron)]


def latest(table: str, columns: Columns) -> Columns:
    """Return the rows sorted by id, with only the last row of each id."""
    ids = columns[KEYS[table]]
    if len(ids) < 2 or (ids[1:] > ids[:-1]).all():
        return columns
    order = np.argsort(ids, kind="stable")
    ids = ids[order]
    order = order[np.append(ids[1:] != ids[:-1], True)]
    return {name: column[order] for name, column in columns.items()}


def unplaced(synapses: Columns, known: Ids) -> Columns:
    """Return neurons named only by synapses, each at the position of one of them.

    It is the first where the neuron is postsynaptic, or else the first where it is presynaptic.

    Parameters
    ----------
    synapses : Columns
        Synapses sorted by id.
    known : numpy.ndarray
        Ids of the neurons that have a position.
    """
    both = np.concatenate([synapses["n2"], synapses["n1"]])
    neurons, first = np.unique(both, return_index=True)
    new = ~np.isin(neurons, known)
    rows = first[new] % len(synapses["n1"])
    return {"neuron": neurons[new], **{name: synapses[name][rows] for name in POINT}}
