"""Masks as runs of voxels: how the parts of a split supervoxel are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.errors import BadRequest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.geometry import Zyx

__all__ = ["mask_of", "runs_of_mask"]


def runs_of_mask(mask: np.ndarray[Any, np.dtype[np.bool_]]) -> NDArray[np.int64]:
    """Return the runs of a mask.

    Parameters
    ----------
    mask : numpy.ndarray
        bool of shape (z, y, x), for example ``parts == 1``.

    Returns
    -------
    numpy.ndarray
        int64 of shape (n, 2): first voxel and length of each run, in C order of the mask; a run
        goes on from the end of a row to the next row.
    """
    flat = np.concatenate([[False], mask.ravel(), [False]])
    ends = np.flatnonzero(flat[1:] != flat[:-1]).reshape(-1, 2)
    return np.stack([ends[:, 0], ends[:, 1] - ends[:, 0]], axis=1)


def mask_of(runs: NDArray[np.int64], shape: Zyx) -> NDArray[np.bool_]:
    """Return the mask of runs.

    Parameters
    ----------
    runs : numpy.ndarray
        int64 of shape (n, 2): first voxel and length.
    shape : tuple of int
        z, y, x of the mask, which the caller has checked against its limit.

    Raises
    ------
    BadRequest
        A run is empty, overlaps the one before it, or ends outside the mask.
    """
    size = int(np.prod(shape, dtype=np.int64))
    start, length = runs.reshape(-1, 2).T
    # Without sums, which could overflow.
    is_valid = (start >= 0) & (start < size) & (length > 0) & (length <= size - start)
    if not is_valid.all() or (start[1:] - start[:-1] < length[:-1]).any():
        raise BadRequest(f"The runs of a mask are not ascending within its {size} voxels.")
    steps = np.zeros(size + 1, np.int8)
    steps[start] += 1
    steps[start + length] -= 1
    mask: NDArray[np.bool_] = np.cumsum(steps[:-1], dtype=np.int8).view(bool).reshape(shape)
    return mask
