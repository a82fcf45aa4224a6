"""Merge tables beside volumes: in HDF5, in a NumPy archive, and in N5.

Janelia's volumes have ``transforms``, with a row for each supervoxel. BigCAT and programs after it
write ``fragment_segment_lut``, and Paintera ``fragment-segment-assignment``: all supervoxels, and
then the segment of each. In C order, this is an array of two rows; N5 states axes from x on.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from bfly.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["LUTS", "PAINTERA", "is_table", "read_hdf5", "read_n5", "read_npz", "split_table"]

ROWS, LUT, PAINTERA = "transforms", "fragment_segment_lut", "fragment-segment-assignment"

LUTS = (ROWS, LUT, PAINTERA)
"""Names of merge tables."""


def is_table(shape: Sequence[int], dtype: np.dtype[Any]) -> bool:
    """Return whether an array can be a merge table: whole numbers, two in a row or column."""
    return len(shape) == 2 and 2 in shape and dtype.kind in "iu"


def split_table(path: str) -> tuple[str, str]:
    """Split ``FILE#NAME`` into the file and the name of a table in it; "" for the default."""
    file, mark, name = path.rpartition("#")
    return (file, name.strip("/")) if mark and file and not os.path.exists(path) else (path, "")


def read_hdf5(path: str, name: str) -> Any:
    """Return a table of an HDF5 file as rows; by default the first of `LUTS` in its root.

    Raises
    ------
    SourceError
        The file has no such table.
    """
    with h5py.File(path) as file:
        found = file.get(name or _first(path, list(file), _tables_in(file)))
        if not isinstance(found, h5py.Dataset):
            raise SourceError(f"{path} has no dataset {name}; it has {list(file)}.")
        return _rows(found[()], found.name)


def read_npz(path: str, name: str) -> Any:
    """Return a table of a NumPy archive as rows; as `read_hdf5`."""
    with np.load(path, allow_pickle=False) as archive:
        tables = {each: archive[each] for each in archive.files if not name or each == name}
    if name and name not in tables:
        raise SourceError(f"{path} has no array {name}.")
    fit = [each for each, array in tables.items() if is_table(array.shape, array.dtype)]
    chosen = name or _first(path, list(tables), fit)
    return _rows(tables[chosen], chosen)


def read_n5(path: str, _name: str) -> Any:
    """Return a table that is an N5 dataset, as rows."""
    import tensorstore as ts

    spec = {"driver": "n5", "kvstore": {"driver": "file", "path": os.path.abspath(path)}}
    array = np.asarray(ts.open(spec, read=True).result().read().result())
    # TensorStore has the axes in the order of N5, so that the last one is supervoxel or segment.
    return array if array.ndim == 2 and array.shape[1] == 2 else _rows(array, PAINTERA)


def _tables_in(file: Any) -> list[str]:
    found = (name for name in file if isinstance(file.get(name), h5py.Dataset))
    return [name for name in found if is_table(file[name].shape, file[name].dtype)]


def _first(path: str, names: Iterable[str], tables: Sequence[str]) -> str:
    """Return the default table: one with a name of `LUTS`, or else the first one."""
    named = [name for name in LUTS if name in tables]
    if not tables:
        raise SourceError(f"{path} has no dataset of two columns; it has {list(names)}.")
    return (named or list(tables))[0]


def _rows(array: Any, name: str) -> Any:
    """Return an array as rows of supervoxel and segment.

    One of two rows and two columns has a row for each supervoxel, unless its name is a `LUT`.
    """
    is_lut = name.rpartition("/")[2] in (LUT, PAINTERA)
    if array.ndim == 2 and array.shape[0] == 2 and (is_lut or array.shape[1] != 2):
        return array.T
    return array
