"""The voxels of a segment that points mean: those nearest to them."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.geometry import BoundingBox, zyx
from bfly.splitting.min_cut import Points
from bfly.splitting.nearest import RADII, nearest_supervoxel

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bfly.splitting.nearest import Nearest
    from bfly.volumes.volume import Volume

    Ids = NDArray[np.uint64]

__all__ = ["NearPoints"]

LARGEST = 1 << 24
"""Voxels of a box around several points that is read at once, at most."""


class NearPoints:
    """Finds the voxels of a segment that are nearest to points.

    All points are z, y, x in voxels of mip 0 of the dataset. What finds none raises `SplitRefused`,
    and `SourceError` if the voxels cannot be read.

    Parameters
    ----------
    volume : Volume
        The segmentation.
    read : callable
        Returns the supervoxels of a box.
    """

    def __init__(self, volume: Volume, read: Callable[[BoundingBox], Any]) -> None:
        self._volume, self._read = volume, read

    def nearest(self, members: Ids, point: NDArray[Any]) -> Nearest:
        """Return the voxel among supervoxels (sorted) that is nearest to a point."""
        box = self._around(point)
        return self._found(np.ascontiguousarray(self._read(box)), box, members, point)

    def points(self, members: Ids, points: NDArray[Any]) -> Points:
        """Return the supervoxels nearest to points, and where they are.

        Voxels that several points need are read once.
        """
        some, which = np.unique(points, axis=0, return_inverse=True)
        boxes = [self._around(point) for point in some]
        whole = reduce(BoundingBox.joined, boxes)
        if whole.size > min(LARGEST, sum(box.size for box in boxes)):
            found = [self.nearest(members, point) for point in some]
        else:
            voxels = np.ascontiguousarray(self._read(whole))
            found = [self._found(voxels, whole, members, point) for point in some]
        labels = np.array([each.supervoxel for each in found], np.uint64)
        places = np.array([each.place for each in found], np.int64).reshape(-1, 3)
        return Points(labels[which.ravel()], places[which.ravel()])

    def _around(self, point: NDArray[Any]) -> BoundingBox:
        """Return the box in which a point is looked for."""
        size = np.array(self._volume.voxel_size)
        reach = np.ceil(RADII[-1] * size.mean() / size).astype(int)
        around = BoundingBox(
            zyx(np.floor(point).astype(int) - reach), zyx(np.ceil(point).astype(int) + reach + 1)
        )
        return around & self._volume.level(0).place

    def _found(
        self, voxels: NDArray[Any], box: BoundingBox, members: Ids, point: NDArray[Any]
    ) -> Nearest:
        place = tuple(point.tolist())
        return nearest_supervoxel(voxels, members, place, self._volume.voxel_size, box.start)
