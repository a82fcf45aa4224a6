"""Tables of edges: what is read from each format, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow
import pytest
from pyarrow import feather, parquet

from bfly.edits.edge_files import has_edges, read_edges
from bfly.errors import SourceError

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = {
    "affinity": np.array([0.5, 0.0, 0.25], np.float32),
    "supervoxel_2": np.array([2, 5, 2**64 - 1], np.uint64),
    "supervoxel_1": np.array([1, 4, 7], np.uint64),
}


def write(path: Path, columns: dict[str, Any]) -> None:
    if path.suffix == ".csv":
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        lines = [", ".join(columns), *(",".join(map(str, row)) for row in rows)]
        path.write_text("\n".join(lines) + "\n")
    elif path.suffix == ".npz":
        np.savez(path, **columns)
    elif path.suffix == ".parquet":
        parquet.write_table(pyarrow.table(columns), path)
    else:
        feather.write_feather(pyarrow.table(columns), str(path))


@pytest.mark.parametrize("name", ["e.csv", "e.npz", "e.parquet", "e.arrow", "e.feather"])
def test_edges_are_read_by_the_names_of_their_columns(name: str, tmp_path: Path) -> None:
    """An edge of weight 0 is none; the columns may have any order."""
    path = tmp_path / name
    write(path, COLUMNS)
    assert has_edges(str(path))
    edges = read_edges(str(path))
    assert edges.pairs.tolist() == [[1, 2], [7, 2**64 - 1]]
    assert (edges.pairs.dtype, edges.weights.dtype) == (np.uint64, np.float32)
    assert edges.weights.tolist() == [0.5, 0.25]


def test_another_table_has_no_edges(tmp_path: Path) -> None:
    write(tmp_path / "merges.csv", {"supervoxel": COLUMNS["supervoxel_1"], "segment": np.ones(3)})
    for name in ("merges.csv", "merges.h5", "a.n5", "b.npz#lut"):
        assert not has_edges(str(tmp_path / name))


@pytest.mark.parametrize("name", ["e.csv", "e.npz", "e.parquet", "e.arrow"])
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"affinity": np.array([1, np.nan, 1])}, "has a value of affinity that is not from 0 on"),
        ({"affinity": np.array([1, -1, 1])}, "has a value of affinity that is not from 0 on"),
        ({"affinity": None}, "has no column weight or affinity; it has"),
        ({"supervoxel_1": np.array([1, 5, 7])}, "has an edge from a supervoxel to itself"),
        ({"supervoxel_1": np.array([1, 0, 7])}, "a supervoxel_1 that is not a whole number"),
    ],
)
def test_what_is_no_edge_is_refused(
    name: str, changed: dict[str, Any], said: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    columns = {key: each for key, each in {**COLUMNS, **changed}.items() if each is not None}
    write(path, columns)
    with pytest.raises(SourceError, match=said):
        read_edges(str(path))


@pytest.mark.parametrize("name", ["e.csv", "e.npz", "e.parquet", "e.arrow"])
def test_a_damaged_file_is_named(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with pytest.raises(SourceError, match=name):
        has_edges(str(path))
    write(path, COLUMNS)
    path.write_bytes(path.read_bytes()[:40] + b"\xff" * 9)
    with pytest.raises(SourceError, match=name):
        read_edges(str(path))
