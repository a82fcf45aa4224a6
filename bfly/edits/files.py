"""Merge tables in files: CSV, Parquet, HDF5, NumPy, N5, and the arrays of the first Butterfly.

The first Butterfly wrote two files. ``PATH.merge.npy`` has rows of supervoxel, segment, region.
``PATH.split.npy`` has rows of region, supervoxel, x0, x1, y0, y1, z0, z1. All numbers are plus 1.
A region of a split in a merge is read as its supervoxel, as in messages of clients.
"""

from __future__ import annotations

import csv
import logging
import os
import warnings
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from bfly.edits.splits import Split
from bfly.edits.stored_tables import LUTS, read_hdf5, read_n5, read_npz, split_table
from bfly.errors import BadRequest, MissingLibrary, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    Ids = NDArray[np.uint64]

__all__ = ["MERGE", "read_table", "write_table"]

log = logging.getLogger(__name__)

NAMES = ("supervoxel", "segment")

MERGE, SPLIT = ".merge.npy", ".split.npy"


def read_table(path: str) -> tuple[Ids, Ids, tuple[str, ...]]:
    """Read supervoxels, the segment of each, and splits where a file has them.

    Parameters
    ----------
    path : str
        A file of `FORMATS` or `STORED`, or the folder of an N5 dataset. ``FILE#NAME`` is a table
        in an HDF5 file or a NumPy archive.

    Raises
    ------
    SourceError
        The file cannot be read, or is not such a table.
    BadRequest
        The file's extension is unknown.
    """
    reader = _reader(path)
    try:
        rows = np.asarray(reader(path))
        if rows.ndim != 2 or rows.shape[1] != 2:
            raise SourceError(f"{path} does not hold two columns, supervoxel and segment.")
        if rows.dtype.kind not in "iu" or (rows.size and rows.min() < 0):
            raise SourceError(f"{path} has ids that are not whole numbers from 0 on.")
        splits = _read_splits(path.removesuffix(MERGE) + SPLIT) if path.endswith(MERGE) else ()
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} cannot be read: {error}") from error
    table = rows.astype(np.uint64)
    return table[:, 0].copy(), table[:, 1].copy(), splits


def write_table(path: str, supervoxels: Ids, segments: Ids, splits: Iterable[str] = ()) -> None:
    """Write a table; an existing file is replaced. Only ``.merge.npy`` files have splits.

    Raises
    ------
    SourceError
        The file cannot be written.
    BadRequest
        The file's extension is unknown.
    """
    _, writer = _format(path)
    try:
        writer(path, np.column_stack([supervoxels, segments]))
        if path.endswith(MERGE):
            _write_splits(path.removesuffix(MERGE) + SPLIT, splits)
    except OSError as error:
        raise SourceError(f"{path} cannot be written: {error}") from error


def _read_csv(path: str) -> Any:
    with open(path, newline="") as file:
        first = next(csv.reader(file), [])
    columns, skipped = [0, 1], 0
    if first and not all(cell.strip().isdigit() for cell in first):
        names = [cell.strip() for cell in first]
        if missing := [name for name in NAMES if name not in names]:
            raise SourceError(f"{path} has no column {missing[0]}; it has {names}.")
        columns, skipped = [names.index(name) for name in NAMES], 1
    words: dict[str, Any] = {"delimiter": ",", "skiprows": skipped, "usecols": columns, "ndmin": 2}
    with warnings.catch_warnings():
        # numpy warns of a table without rows, which is valid.
        warnings.simplefilter("ignore", UserWarning)
        return np.loadtxt(path, np.uint64, **words)


def _write_csv(path: str, rows: Ids) -> None:
    with open(path, "w") as file:
        file.write(f"{','.join(NAMES)}\n")
        file.writelines(f"{supervoxel},{segment}\n" for supervoxel, segment in rows.tolist())


def _read_parquet(path: str) -> Any:
    table = _parquet().read_table(path, columns=list(NAMES))
    return np.column_stack([table.column(name).to_numpy() for name in NAMES])


def _write_parquet(path: str, rows: Ids) -> None:
    import pyarrow

    columns = {name: rows[:, i] for i, name in enumerate(NAMES)}
    _parquet().write_table(pyarrow.table(columns), path)


def _parquet() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise MissingLibrary("Parquet needs pyarrow: pip install 'bfly[tables]'.") from error
    return pyarrow.parquet


def _write_hdf5(path: str, rows: Ids) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset(LUTS[0], data=rows, compression="gzip", chunks=True)


def _read_npy(path: str) -> Any:
    rows = np.load(path, allow_pickle=False)
    if rows.ndim != 2 or rows.shape[1] != 3 or (rows.size and rows.min() < 1):
        raise SourceError(f"{path} does not hold rows of the first Butterfly, all above 0.")
    if regions := np.count_nonzero(rows[:, 2] > 1):
        log.warning("%s merges %d regions of splits: each is read as its supervoxel", path, regions)
    return rows[:, :2].astype(np.uint64) - np.uint64(1)


def _write_npy(path: str, rows: Ids) -> None:
    if rows.size and rows.max() == np.iinfo(np.uint64).max:
        raise SourceError(f"{path} cannot hold the id {rows.max()}.")
    region = np.ones((len(rows), 1), np.uint64)
    _save(path, np.hstack([rows + np.uint64(1), region]))


def _read_splits(path: str) -> tuple[str, ...]:
    if not os.path.exists(path):
        return ()
    rows = np.load(path, allow_pickle=False).astype(np.uint64) - np.uint64(1)
    return tuple(
        ":".join(map(str, [supervoxel, region, *box])) for region, supervoxel, *box in rows.tolist()
    )


def _write_splits(path: str, splits: Iterable[str]) -> None:
    rows = []
    for split in map(Split.parse, splits):
        (z0, y0, x0), (z1, y1, x1) = split.first, split.last
        rows.append([split.region, split.supervoxel, x0, x1, y0, y1, z0, z1])
    _save(path, np.array(rows, np.uint64).reshape(-1, 8) + np.uint64(1))


def _save(path: str, rows: Ids) -> None:
    with open(path, "wb") as file:
        np.save(file, rows)


def _stored(read: Callable[[str, str], Any]) -> Callable[[str], Any]:
    return lambda path: read(*split_table(path))


STORED: dict[str, Callable[[str], Any]] = {
    ".h5": _stored(read_hdf5),
    ".hdf5": _stored(read_hdf5),
    ".hdf": _stored(read_hdf5),
    ".npz": _stored(read_npz),
}
"""Readers of files that may hold volumes beside a table."""

FORMATS: dict[str, tuple[Callable[[str], Any], Callable[[str, Ids], None]]] = {
    ".csv": (_read_csv, _write_csv),
    ".parquet": (_read_parquet, _write_parquet),
    ".h5": (STORED[".h5"], _write_hdf5),
    ".hdf5": (STORED[".hdf5"], _write_hdf5),
    MERGE: (_read_npy, _write_npy),
}


def _reader(path: str) -> Callable[[str], Any]:
    file, _ = split_table(path)
    if os.path.isdir(file):
        return _stored(read_n5)
    for ending, reader in STORED.items():
        if file.endswith(ending):
            return reader
    return _format(path)[0]


def _format(path: str) -> tuple[Callable[[str], Any], Callable[[str, Ids], None]]:
    for ending, both in FORMATS.items():
        if path.endswith(ending):
            return both
    raise BadRequest(f"The file {path} does not end in one of {list(FORMATS)}.")
