"""Labels as runs along x: a labelled volume has far fewer runs than voxels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Runs", "runs_of"]


class Runs(NamedTuple):
    """Runs of equal labels along x in z, y, x order; the background (0) has none.

    Parameters
    ----------
    labels : numpy.ndarray
        uint64, one label for each run.
    z, y, x : numpy.ndarray
        int64, the first voxel of each run.
    lengths : numpy.ndarray
        int64, voxels of each run.
    """

    labels: NDArray[np.uint64]
    z: NDArray[np.int64]
    y: NDArray[np.int64]
    x: NDArray[np.int64]
    lengths: NDArray[np.int64]


def runs_of(voxels: np.ndarray[Any, np.dtype[Any]]) -> Runs:
    """Return the runs of a labelled volume.

    Parameters
    ----------
    voxels : numpy.ndarray
        Integers of three axes (z, y, x), C order, none of which is 0 voxels long.
    """
    _, height, width = voxels.shape
    rows = voxels.reshape(-1, width)
    is_start = np.empty(rows.shape, bool)
    is_start[:, 0] = True
    np.not_equal(rows[:, 1:], rows[:, :-1], out=is_start[:, 1:])
    starts = np.flatnonzero(is_start)
    labels = voxels.ravel()[starts]
    lengths = np.diff(starts, append=voxels.size)
    kept = labels != 0
    starts, labels, lengths = starts[kept], labels[kept], lengths[kept]
    row, x = np.divmod(starts, width)
    z, y = np.divmod(row, height)
    return Runs(labels.astype(np.uint64), z, y, x, lengths)
