"""Tables of edges in files: CSV, Parquet, Arrow and NumPy archives.

A table of edges has the columns ``supervoxel_1``, ``supervoxel_2``, and ``weight`` or ``affinity``.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from zipfile import BadZipFile

import numpy as np

from bfly.edits.stored_edges import StoredEdges
from bfly.errors import MissingLibrary, SourceError

__all__ = ["has_edges", "read_edges"]

ENDS = ("supervoxel_1", "supervoxel_2")

WEIGHTS = ("weight", "affinity")

Names = Callable[[str], Sequence[str]]
Columns = Callable[[str, Sequence[str]], Mapping[str, Any]]


def has_edges(path: str) -> bool:
    """Return whether a file is a table of edges, by the names of its columns.

    Raises
    ------
    SourceError
        The file cannot be read.
    MissingLibrary
        It needs pyarrow.
    """
    return set(ENDS) <= set(_names(path))


def read_edges(path: str) -> StoredEdges:
    """Read a table of edges.

    Raises
    ------
    SourceError
        The file cannot be read, or has edges without two supervoxels or a weight above 0.
    MissingLibrary
        It needs pyarrow.
    """
    names = _names(path)
    weight = next((name for name in WEIGHTS if name in names), None)
    if weight is None:
        raise SourceError(f"{path} has no column {' or '.join(WEIGHTS)}; it has {list(names)}.")
    try:
        table = _reading(path)[1](path, (*ENDS, weight))
        first, second, weights = (np.asarray(table[name]) for name in (*ENDS, weight))
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise SourceError(f"{path} cannot be read: {error}") from error
    for name, column in zip(ENDS, (first, second), strict=True):
        if column.ndim != 1 or column.dtype.kind not in "iu" or (column.size and column.min() < 1):
            raise SourceError(f"{path} has a {name} that is not a whole number from 1 on.")
    weights = weights.astype(np.float32) if weights.dtype.kind in "iuf" else weights[:0]
    if not first.shape == second.shape == weights.shape:
        raise SourceError(f"{path} has columns of different lengths, or a {weight} of text.")
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise SourceError(f"{path} has a value of {weight} that is not from 0 on.")
    if (first.astype(np.uint64) == second.astype(np.uint64)).any():
        raise SourceError(f"{path} has an edge from a supervoxel to itself.")
    pairs = np.stack([first, second], axis=1).astype(np.uint64)
    # An edge of weight 0 holds nothing together.
    return StoredEdges(pairs[weights > 0], weights[weights > 0])


def _names(path: str) -> Sequence[str]:
    """Return the names of the columns; none for a file of another extension."""
    names, _ = _reading(path)
    try:
        return names(path)
    except (OSError, ValueError, BadZipFile) as error:
        raise SourceError(f"{path} cannot be read: {error}") from error


def _reading(path: str) -> tuple[Names, Columns]:
    """Return what reads the names of columns, and what reads columns."""
    kind = path.rpartition(".")[2].lower()
    readers: dict[str, tuple[Names, Columns]] = {
        "csv": (_csv_names, _csv),
        "parquet": (_parquet_names, _parquet),
        "arrow": (_arrow_names, _arrow),
        "feather": (_arrow_names, _arrow),  # of version 2
        "npz": (_npz_names, _npz),
    }
    return readers.get(kind, (lambda _: (), _csv))


def _csv_names(path: str) -> Sequence[str]:
    with open(path, newline="") as file:
        return [cell.strip() for cell in next(csv.reader(file), [])]


def _csv(path: str, names: Sequence[str]) -> Mapping[str, Any]:
    places = [_csv_names(path).index(name) for name in names]
    table = np.loadtxt(
        path,
        [("a", np.uint64), ("b", np.uint64), ("weight", np.float32)],
        delimiter=",",
        skiprows=1,
        usecols=places,
        ndmin=1,
    )
    return dict(zip(names, (table["a"], table["b"], table["weight"]), strict=True))


def _parquet_names(path: str) -> Sequence[str]:
    names: Sequence[str] = _pyarrow("parquet").read_schema(path).names
    return names


def _parquet(path: str, names: Sequence[str]) -> Mapping[str, Any]:
    table = _pyarrow("parquet").read_table(path, columns=list(names))
    return {name: table.column(name).to_numpy() for name in names}


def _arrow_names(path: str) -> Sequence[str]:
    names: Sequence[str] = _pyarrow("ipc").open_file(path).schema.names
    return names


def _arrow(path: str, names: Sequence[str]) -> Mapping[str, Any]:
    table = _pyarrow("ipc").open_file(path).read_all()
    return {name: table.column(name).to_numpy() for name in names}


def _npz_names(path: str) -> Sequence[str]:
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
        return list(archive.files)


def _npz(path: str, names: Sequence[str]) -> Mapping[str, Any]:
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
        return {name: archive[name] for name in names}


def _pyarrow(module: str) -> Any:
    from importlib import import_module

    try:
        return import_module(f"pyarrow.{module}")
    except ImportError:
        raise MissingLibrary("This table needs pyarrow: pip install 'bfly[tables]'.") from None
