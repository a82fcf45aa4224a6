"""Parts of a supervoxel beyond the box in which they were found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bfly.splitting.libraries import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.geometry import BoundingBox

    Parts = NDArray[np.uint8]

__all__ = ["spread"]


def spread(parts: Parts, box: BoundingBox, mask: NDArray[np.bool_], place: BoundingBox) -> Parts:
    """Return the parts of a supervoxel in a larger box.

    What is connected outside the first box goes to the part that it touches most at the faces of
    that box. What touches none is in neither part.

    Parameters
    ----------
    parts : numpy.ndarray
        uint8 of the shape of `box`: 1 or 2 where the supervoxel is, else 0.
    box, place : BoundingBox
        The box, and a larger one around it.
    mask : numpy.ndarray
        bool of the shape of `place`: the voxels of the supervoxel.
    """
    inner = box.relative_to(place.start)
    result = np.zeros(mask.shape, np.uint8)
    result[inner.slices] = parts
    rest = mask.copy()
    rest[inner.slices] = False
    pieces, count = ndimage().label(rest)
    touches = np.zeros((count + 1, 3), np.int64)
    for axis in range(3):
        faces = ((inner.start[axis] - 1, 0), (inner.stop[axis], -1))
        for outside, inside in faces:
            if not 0 <= outside < mask.shape[axis]:
                continue
            beyond = list(inner.slices)
            beyond[axis] = slice(outside, outside + 1)
            near = parts.take([inside], axis)
            np.add.at(touches, (pieces[tuple(beyond)].ravel(), near.ravel()), 1)
    touches[0] = touches[:, 0] = 0
    chosen = touches.argmax(axis=1).astype(np.uint8)
    result += chosen[pieces]
    return result
