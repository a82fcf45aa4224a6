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
    # TensorStore (0.1.86) gives rubbish for the mean along an axis whose voxels lie in one block
    # and do not begin it; where in the block they lie does not matter, so they are moved.
    starts = [
        o if (o + n - 1) // f > o // f else o // f * f
        for o, n, f in zip(origin, voxels.shape, factor, strict=True)
    ]
    placed = ts.array(voxels).translate_to[starts]
    reduced = ts.downsample(placed, factor, "mean" if kind == "image" else "mode")
    result: np.ndarray[Any, np.dtype[Any]] = reduced.read().result()
    return result
