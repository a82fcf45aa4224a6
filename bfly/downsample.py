"""Coarser voxels from finer ones: the mean of an image, the mode of labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tensorstore as ts

if TYPE_CHECKING:
    from typing import Any

    from bfly.geometry import Zyx

__all__ = ["downsample"]

LARGE = 1 << 16
"""Voxels of a block from which on labels are counted by runs: five times as fast as one by one."""

RUN = 8
"""Voxels of a run of one label, on average, from which on runs are faster to count."""


def downsample(
    voxels: np.ndarray[Any, np.dtype[Any]], origin: Zyx, factor: Zyx, kind: str
) -> np.ndarray[Any, np.dtype[Any]]:
    """Reduce blocks of voxels to one voxel each, exactly.

    Parameters
    ----------
    voxels : numpy.ndarray
        zyx.
    origin : tuple of int
        The place of the first voxel. Blocks start at multiples of `factor`, so the first and
        the last may be cut off; they are reduced over the voxels that are there.
    factor : tuple of int
        The shape of a block.
    kind : {"image", "segmentation"}
        An image gives the mean, rounded to the nearest integer and halves to the even one;
        a segmentation gives the most frequent label, the smallest of several.

    Returns
    -------
    numpy.ndarray
        The same dtype; voxel 0 stands for the block that holds `origin`.
    """
    axes = zip(origin, voxels.shape, factor, strict=True)
    starts, factor = zip(*(_along(*axis) for axis in axes), strict=True)
    if kind == "segmentation" and voxels.size >= LARGE and factor == voxels.shape:
        mode = _mode(voxels)
        if mode is not None:
            return mode
    placed = ts.array(voxels).translate_to[starts]
    reduced = ts.downsample(placed, factor, "mean" if kind == "image" else "mode")
    result: np.ndarray[Any, np.dtype[Any]] = reduced.read().result()
    return result


def _mode(voxels: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[Any]] | None:
    """Return the mode of all voxels as one voxel, by runs of labels; None if runs are short."""
    flat = voxels.ravel()
    ends = np.flatnonzero(flat[1:] != flat[:-1])
    if len(ends) > len(flat) // RUN:
        return None
    values, places = np.unique(flat[np.append(ends, len(flat) - 1)], return_inverse=True)
    lengths = np.diff(ends, prepend=-1, append=len(flat) - 1)
    mode: np.ndarray[Any, np.dtype[Any]] = values[np.bincount(places, lengths).argmax()]
    return mode.reshape(1, 1, 1)


def _along(origin: int, count: int, factor: int) -> tuple[int, int]:
    """Return an equal division of an axis whose blocks are no larger than its voxels.

    TensorStore (0.1.86) takes memory (mode) or time (mean) for all voxels of a block, also for
    those that are not there. And its mean is wrong along an axis whose voxels are all in one
    block and do not begin it.
    """
    before = min(-origin % factor or factor, count)
    if before == count:
        return 0, count
    if count - before <= factor:
        factor = max(before, count - before)
        return factor - before, factor
    return origin, factor
