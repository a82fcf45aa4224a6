"""Voxels of any mip with patches, which the log of edits has at mip 0."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.downsample import downsample
from bfly.edits.patches import applied
from bfly.geometry import BoundingBox, zyx
from bfly.volumes.region import Region

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from bfly.edits.patches import Patch
    from bfly.geometry import Zyx

    Mask = NDArray[np.bool_]
    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["finest", "patched"]

COUNTED = 512
"""Voxels of mip 0 of a coarse voxel, at most, that are counted for it. Of coarser voxels the
middle counts: otherwise an overview would read all patches of the channel."""

AT_ONCE = 1 << 18
"""Voxels of mip 0 that are read at once: those of a tile or a few."""


def finest(region: Region, box: BoundingBox) -> BoundingBox:
    """Return the voxels of mip 0 that a box of the region's mip covers.

    Both count from the channel's first voxel.
    """
    level, first = region.level, region.volume.level(0)
    return box.shift(level.origin).refined(level.factor).relative_to(first.origin) & first.whole


def patched(
    region: Region,
    voxels: Voxels,
    box: BoundingBox,
    patches: Sequence[Patch],
    gather: Callable[[Region], Voxels],
) -> Voxels:
    """Return voxels of a mip with patches.

    A coarse voxel that covers a changed one is the most frequent supervoxel of mip 0 in it. If it
    covers more than `COUNTED` voxels, it follows the patches of the one in its middle, if that
    had its label.

    Parameters
    ----------
    region : Region
        The channel, the mip and the edits.
    voxels : numpy.ndarray
        Supervoxels of the files; not written to.
    box : BoundingBox
        Their place, counted from the channel's first voxel.
    patches : sequence of Patch
        Those that touch it, in their order.
    gather : callable
        Returns the voxels of a region of mip 0.

    Returns
    -------
    numpy.ndarray
        The same array if no patch touches it.
    """
    factor = region.level.factor
    if factor == (1, 1, 1):
        return applied(patches, np.ascontiguousarray(voxels), box)
    if math.prod(factor) > COUNTED:
        return _by_middles(region, voxels, box, patches)
    touched = np.zeros(box.shape, bool)
    for patch in patches:
        _touch(touched, region, box, patch)
    result = voxels
    for part in _portions(touched, BoundingBox.of_shape(box.shape), factor):
        result = voxels.copy() if result is voxels else result
        coarse = _counted(region, part.shift(box.start), gather)
        np.copyto(result[part.slices], coarse, where=touched[part.slices])
    return result


def _touch(touched: Mask, region: Region, box: BoundingBox, patch: Patch) -> None:
    """Mark the coarse voxels of a box that cover a voxel of a patch."""
    wanted = finest(region, box) & patch.box
    runs = patch.runs().inside(patch.box, wanted)
    first, (fz, fy, fx) = region.volume.level(0).origin, region.level.factor
    z0, y0, x0 = (a + b for a, b in zip(wanted.start, first, strict=True))
    z, y, x = runs.rows(wanted.shape)
    low, high = (x + x0) // fx, (x + x0 + runs.length - 1) // fx
    count = high - low + 1
    k, j, i = (a + b for a, b in zip(box.start, region.level.origin, strict=True))
    steps = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    z, y, low = (np.repeat(each, count) for each in ((z + z0) // fz - k, (y + y0) // fy - j, low))
    touched[z, y, low - i + steps] = True


def _portions(touched: Mask, box: BoundingBox, factor: Zyx) -> Iterator[BoundingBox]:
    """Yield boxes around the marked voxels of a box, each of few voxels of mip 0."""
    marked = touched[box.slices]
    lines = [np.flatnonzero(marked.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    if not len(lines[0]):
        return
    hull = BoundingBox(zyx(each[0] for each in lines), zyx(each[-1] + 1 for each in lines))
    box = hull.shift(box.start)
    if box.size == 1 or box.size * math.prod(factor) <= AT_ONCE:
        yield box
        return
    axis = int(np.argmax(np.multiply(box.shape, factor) * (np.array(box.shape) > 1)))
    stop, start = list(box.stop), list(box.start)
    stop[axis] = start[axis] = box.start[axis] + box.shape[axis] // 2
    yield from _portions(touched, BoundingBox(box.start, zyx(stop)), factor)
    yield from _portions(touched, BoundingBox(zyx(start), box.stop), factor)


def _counted(region: Region, box: BoundingBox, gather: Callable[[Region], Voxels]) -> Voxels:
    """Return coarse voxels, computed from mip 0 with patches."""
    assert region.edits
    place = finest(region, box).shift(region.volume.level(0).origin)
    fine = gather(Region.of(region.volume, 0, place, region.edits.patched))
    return downsample(fine, place.start, region.level.factor, "segmentation")


def _by_middles(
    region: Region, voxels: Voxels, box: BoundingBox, patches: Sequence[Patch]
) -> Voxels:
    """Return coarse voxels that follow the patches of the voxels in their middle."""
    first, factor = np.array(region.volume.level(0).origin), np.array(region.level.factor)
    shift = np.array(region.level.origin)
    result = voxels
    for patch in patches:
        stops = -(-(np.array(patch.box.stop) + first) // factor) - shift
        starts = (np.array(patch.box.start) + first) // factor - shift
        part = (BoundingBox(zyx(starts), zyx(stops)) & box).relative_to(box.start)
        if not part.size:
            continue
        coarse = np.indices(part.shape).reshape(3, -1).T + part.start + box.start + shift
        labels = result[part.slices].reshape(-1).astype(np.uint64)
        new = patch.at(coarse * factor + factor // 2 - first, labels)
        if new is not labels and (new != labels).any():
            result = voxels.copy() if result is voxels else result
            result[part.slices] = new.astype(voxels.dtype).reshape(part.shape)
    return result
