"""Facts about the labels in a region of any size, which is read part by part."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.errors import TooLarge
from bfly.geometry import BoundingBox, zyx

if TYPE_CHECKING:
    from bfly.cutouts.cutouts import Cutouts
    from bfly.cutouts.plan import Slices
    from bfly.volumes.region import Region

    Values = np.ndarray[Any, np.dtype[Any]]
    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["MOST_VALUES", "box_of", "check_work", "highest", "unique"]


MOST_VALUES = 1 << 20
"""Values that are listed in one answer. They take some 200 bytes each until they are text."""

SOME = 1 << 20
"""Values of tiles that are gathered before they are merged with those that are known."""

MOST = 16 << 30
"""Bytes of stored voxels that one request may have read: a minute's work for a core or two."""


def check_work(region: Region) -> None:
    """Raise `TooLarge` if more than `MOST` bytes of stored voxels would have to be read."""
    level = region.level
    size = level.finer(region.local & level.whole).size * region.dtype.itemsize
    if size > MOST:
        raise TooLarge(
            f"At resolution {level.mip}, {size} bytes of voxels would have to be read; "
            f"at most {MOST} are. Ask for a smaller box, or at a coarser mip that is stored."
        )


def unique(cutouts: Cutouts, region: Region) -> Values:
    """Return the values that occur in a region; 0 is one if a part is outside the volume.

    Returns
    -------
    numpy.ndarray
        One axis, ascending, of the dtype of the voxels.
    """
    found = [np.empty(0, region.dtype)]
    inside = fresh = 0
    lock = threading.Lock()

    def look(voxels: Voxels, _place: Slices) -> None:
        nonlocal inside, fresh
        values = _values(voxels)
        with lock:
            found.append(values)
            inside, fresh = inside + voxels.size, fresh + len(values)
            if fresh > max(SOME, len(found[0])):
                found[:], fresh = [np.unique(np.concatenate(found))], 0

    cutouts.show(region, look)
    if inside < region.box.size:
        found.append(np.zeros(1, region.dtype))
    return np.unique(np.concatenate(found))


def highest(cutouts: Cutouts, region: Region) -> int:
    """Return the highest label in a region; 0 if all of it is outside the volume."""
    found = 0
    lock = threading.Lock()

    def look(voxels: Voxels, _place: Slices) -> None:
        nonlocal found
        value = int(voxels.max())
        with lock:
            found = max(found, value)

    cutouts.show(region, look)
    return found


def box_of(cutouts: Cutouts, region: Region, label: int) -> BoundingBox | None:
    """Return the smallest box around a label in a region; None where it does not occur."""
    found: BoundingBox | None = None
    lock = threading.Lock()

    def look(voxels: Voxels, place: Slices) -> None:
        nonlocal found
        part = _box_around(voxels == label)
        if part is None:
            return
        part = part.shift(zyx(along.start for along in place)).shift(region.box.start)
        with lock:
            found = part if found is None else found.joined(part)

    cutouts.show(region, look)
    return found


def _values(voxels: Voxels) -> Values:
    """Return the values that occur; labels come in runs, of which one voxel each is enough."""
    flat = voxels.ravel()
    starts = np.empty(flat.size, bool)
    starts[0] = True
    np.not_equal(flat[1:], flat[:-1], out=starts[1:])
    return np.unique(flat[starts])


def _box_around(hit: np.ndarray[Any, np.dtype[np.bool_]]) -> BoundingBox | None:
    """Return the smallest box around what is true."""
    if not hit.any():
        return None
    sections = hit.any(axis=(1, 2))
    rows, columns = hit.any(axis=(0, 2)), hit.any(axis=(0, 1))
    ends = [np.flatnonzero(axis)[[0, -1]].tolist() for axis in (sections, rows, columns)]
    return BoundingBox(zyx(first for first, _ in ends), zyx(last + 1 for _, last in ends))
