"""HDF5 files of BigDataViewer: each setup at each time is a volume with its levels.

The format: https://imagej.net/plugins/bdv. Voxels of time T, setup S and level L are the dataset
``tTTTTT/sSS/L/cells``; ``sSS/resolutions`` has the factors of each level, x first. An XML file
states the size of a voxel (see `bfly.sources.shared.bdv`). ``cells`` hold unsigned integers, for
which the first versions, written in Java, use the signed type of the same width.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import h5py
import numpy as np

from bfly.sources.hdf5.entry import PARTS, Entry
from bfly.storage.limits import LEVELS

if TYPE_CHECKING:
    from typing import Any

    from bfly.sources.mips import VoxelSize

__all__ = ["as_unsigned", "entries", "entry"]

_CELLS = re.compile(r"/t\d{5,}/s\d{2,}/\d+/cells")
_TIME, _SETUP = re.compile(r"t\d{5,}"), re.compile(r"s\d{2,}")


def entries(file: Any) -> list[Entry]:
    """Return the volumes of an open file, by time and setup; none if it has another format.

    A setup that was not taken at a time is left out. At most `PARTS` and one are returned.
    """
    names = _names(file["/"].id, hard=True)
    times = list(filter(_TIME.fullmatch, names))
    setups = {name: _ratios(file, name) for name in names if times}
    found: list[Entry] = []
    for time in times:
        for setup in _names(file[time].id):
            if setups.get(setup) and len(found) <= PARTS:
                found.append(_entry(time, setup, setups[setup]))
    return found


def entry(file: Any, name: str) -> Entry | None:
    """Return the volume ``tTTTTT/sSS`` of an open file; None if there is none."""
    time, _, setup = name.partition("/")
    root = file["/"].id
    if not {time, setup} <= {*_names(root, hard=True)} or setup not in _names(file[time].id):
        return None
    ratios = _ratios(file, setup) if _TIME.fullmatch(time) else ()
    return _entry(time, setup, ratios) if ratios else None


def as_unsigned(name: str, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype of the voxels of a dataset: that of ``cells`` is unsigned.

    Parameters
    ----------
    name : str
        Path of the dataset in its file.
    dtype : numpy.dtype
        As stored.
    """
    if dtype.kind == "i" and _CELLS.fullmatch(name):
        return np.dtype(f"{dtype.byteorder}u{dtype.itemsize}")
    return dtype


def _entry(time: str, setup: str, ratios: tuple[VoxelSize, ...]) -> Entry:
    name = f"{time}/{setup}"
    first, *others = (f"{name}/{level}/cells" for level in range(len(ratios)))
    return Entry(name, (first,), tuple(others), ratios[1:], int(setup[1:]))


def _ratios(file: Any, setup: str) -> tuple[VoxelSize, ...]:
    """Return the factors (z, y, x) of the levels of a setup; none if it is no setup."""
    group = file[setup] if _SETUP.fullmatch(setup) else None
    if not isinstance(group, h5py.Group) or "resolutions" not in _names(group.id, hard=True):
        return ()
    table = group["resolutions"]
    fits = isinstance(table, h5py.Dataset) and table.ndim == 2 and table.shape[1] == 3
    if not fits or not 0 < table.shape[0] <= LEVELS or table.dtype.kind not in "iuf":
        return ()
    rows = np.asarray(table[()], float)[:, ::-1]
    if not (rows > 0).all() or not np.isfinite(rows).all():
        return ()
    finest = rows[0].tolist()
    # As numbers of Python, damage that overflows raises no warning.
    return tuple((z / finest[0], y / finest[1], x / finest[2]) for z, y, x in rows.tolist())


def _names(group: Any, *, hard: bool = False) -> list[str]:
    """Return the names in a group, sorted; with `hard` only those that are no links to others."""
    names: list[bytes] = []

    def note(name: bytes, info: Any) -> None:
        if not hard or info.type == h5py.h5l.TYPE_HARD:
            names.append(name)

    group.links.iterate(note, info=True)
    return sorted(name.decode(errors="replace") for name in names)
