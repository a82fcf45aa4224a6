"""Downsampling of voxels: the mean of an image, the mode of labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tensorstore as ts

if TYPE_CHECKING:
    from typing import Any

    from bfly.geometry import Zyx

__all__ = ["downsample"]

LARGE = 1 << 16
"""Voxels. Labels of larger blocks are counted by runs, five times as fast as voxel by voxel."""

RUN = 8
"""Voxels: the mean length of a run above which counting by runs is faster."""


def downsample(
    voxels: np.ndarray[Any, np.dtype[Any]], origin: Zyx, factor: Zyx, kind: str
) -> np.ndarray[Any, np.dtype[Any]]:
    """Reduce blocks of voxels to one voxel each, exactly.

    Parameters
    ----------
    voxels : numpy.ndarray
        Shape (z, y, x).
    origin : tuple of int
        The position of the first voxel. Blocks start at multiples of `factor`, so the first
        and the last may be cut off. Those are reduced over the voxels they have.
    factor : tuple of int
        The shape of a block (z, y, x).
    kind : {"image", "segmentation"}
        An image becomes the mean, rounded to the nearest integer, halves to even. A
        segmentation becomes the most frequent label, the smallest of equally frequent ones.

    Returns
    -------
    numpy.ndarray
        The same dtype. Its voxel 0 is the block that contains `origin`.
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
    """Return the mode of all voxels as one voxel, counted by runs; None if runs are short."""
    flat = voxels.ravel()
    ends = np.flatnonzero(flat[1:] != flat[:-1])
    if len(ends) > len(flat) // RUN:
        return None
    values, places = np.unique(flat[np.append(ends, len(flat) - 1)], return_inverse=True)
    lengths = np.diff(ends, prepend=-1, append=len(flat) - 1)
    mode: np.ndarray[Any, np.dtype[Any]] = values[np.bincount(places, lengths).argmax()]
    return mode.reshape(1, 1, 1)


def _along(origin: int, count: int, factor: int) -> tuple[int, int]:
    """Return an equivalent division of an axis, with blocks no longer than the axis.

    TensorStore (0.1.86) takes memory (mode) or time (mean) for all voxels of a block, missing
    ones included. Its mean is also wrong along an axis if all voxels are in one block and do
    not start at its beginning.
    """
    before = min(-origin % factor or factor, count)
    if before == count:
        return 0, count
    if count - before <= factor:
        factor = max(before, count - before)
        return factor - before, factor
    return origin, factor
