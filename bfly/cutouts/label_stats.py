"""Facts about the labels in a region of any size, read part by part."""

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
"""Most values of one answer. Each takes some 200 bytes until it is text."""

SOME = 1 << 20
"""Values of tiles that are collected before they are merged with the earlier ones."""

MOST = 16 << 30
"""Most bytes of stored voxels that one request may read: a minute's work for a core or two."""


def check_work(*regions: Region) -> None:
    """Raise `TooLarge` if more than `MOST` bytes of stored voxels would have to be read."""
    size = 0
    for region in regions:
        level = region.level
        size += level.finer(region.local & level.whole).size * region.dtype.itemsize
    if size > MOST:
        raise TooLarge(
            f"At resolution {regions[0].level.mip}, {size} bytes of voxels would have to be read; "
            f"at most {MOST} are. Ask for a smaller box, or at a coarser mip that is stored."
        )


def unique(cutouts: Cutouts, region: Region) -> Values:
    """Return the values that occur in a region, with 0 if a part is outside the volume.

    Returns
    -------
    numpy.ndarray
        One axis, ascending, with the dtype of the voxels.
    """
    batches = [np.empty(0, region.dtype)]
    inside = fresh = 0
    lock = threading.Lock()

    def look(voxels: Voxels, _place: Slices) -> None:
        nonlocal inside, fresh
        values = _values(voxels)
        with lock:
            batches.append(values)
            inside, fresh = inside + voxels.size, fresh + len(values)
            if fresh > max(SOME, len(batches[0])):
                batches[:], fresh = [np.unique(np.concatenate(batches))], 0

    cutouts.show(region, look)
    if inside < region.box.size:
        batches.append(np.zeros(1, region.dtype))
    return np.unique(np.concatenate(batches))


def highest(cutouts: Cutouts, region: Region) -> int:
    """Return the highest label in a region; 0 if all of it is outside the volume."""
    maximum = 0
    lock = threading.Lock()

    def look(voxels: Voxels, _place: Slices) -> None:
        nonlocal maximum
        value = int(voxels.max())
        with lock:
            maximum = max(maximum, value)

    cutouts.show(region, look)
    return maximum


def box_of(cutouts: Cutouts, region: Region, label: int) -> BoundingBox | None:
    """Return the smallest box around a label in a region; None where it does not occur."""
    bounds: BoundingBox | None = None
    lock = threading.Lock()

    def look(voxels: Voxels, place: Slices) -> None:
        nonlocal bounds
        part = _box_around(voxels == label)
        if part is None:
            return
        part = part.shift(zyx(along.start for along in place)).shift(region.box.start)
        with lock:
            bounds = part if bounds is None else bounds.joined(part)

    cutouts.show(region, look)
    return bounds


def _values(voxels: Voxels) -> Values:
    """Return the values that occur. Labels come in runs, so one voxel of each run is enough."""
    flat = voxels.ravel()
    starts = np.empty(flat.size, bool)
    starts[0] = True
    np.not_equal(flat[1:], flat[:-1], out=starts[1:])
    return np.unique(flat[starts])


def _box_around(hit: np.ndarray[Any, np.dtype[np.bool_]]) -> BoundingBox | None:
    """Return the smallest box around the true values; None if there are none."""
    if not hit.any():
        return None
    sections = hit.any(axis=(1, 2))
    rows, columns = hit.any(axis=(0, 2)), hit.any(axis=(0, 1))
    ends = [np.flatnonzero(axis)[[0, -1]].tolist() for axis in (sections, rows, columns)]
    return BoundingBox(zyx(first for first, _ in ends), zyx(last + 1 for _, last in ends))
