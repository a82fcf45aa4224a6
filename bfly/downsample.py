"""Coarser voxels from finer ones: the mean of an image, the mode of labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorstore as ts

if TYPE_CHECKING:
    from typing import Any

    import numpy as np

    from bfly.geometry import Zyx

__all__ = ["downsample"]


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
    placed = ts.array(voxels).translate_to[starts]
    reduced = ts.downsample(placed, factor, "mean" if kind == "image" else "mode")
    result: np.ndarray[Any, np.dtype[Any]] = reduced.read().result()
    return result


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
