"""The supervoxel that a point means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bfly.splitting.refusal import Reason, SplitRefused, place_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.geometry import Zyx

__all__ = ["RADII", "Nearest", "nearest_supervoxel"]

RADII = (4, 8, 14, 28)
"""Mean voxel sizes within which a point is looked for, as in CAVE's PyChunkedGraph: most points are
found in the first, smallest box."""


class Nearest(NamedTuple):
    """A voxel of the segment.

    Parameters
    ----------
    supervoxel : int
        Its stored label.
    place : tuple of int
        z, y, x.
    distance : float
        Nanometres from the point.
    """

    supervoxel: int
    place: Zyx
    distance: float


def nearest_supervoxel(
    voxels: np.ndarray[Any, np.dtype[Any]],
    supervoxels: NDArray[np.uint64],
    point: tuple[float, float, float],
    voxel_size: tuple[float, float, float],
    origin: Zyx = (0, 0, 0),
) -> Nearest:
    """Return the voxel of a segment that is nearest to a point; of equally near ones the first.

    Parameters
    ----------
    voxels : numpy.ndarray
        Integers of three axes (z, y, x): the stored labels around the point.
    supervoxels : numpy.ndarray
        uint64, ids of the segment.
    point : tuple of float
        z, y, x in voxels; voxel 0 has its middle at 0.
    voxel_size : tuple of float
        Nanometres (z, y, x).
    origin : tuple of int
        First voxel (z, y, x) of `voxels`.

    Raises
    ------
    SplitRefused
        The segment has no voxel in the box within the largest radius (`NOT_ON_SEGMENT`).
    """
    sizes, first = np.asarray(voxel_size, np.float64), np.asarray(origin)
    for radius in np.array(RADII) * sizes.mean():
        reach = radius / sizes
        low = np.maximum(np.ceil(point - reach).astype(np.int64) - first, 0)
        high = np.minimum(np.floor(point + reach).astype(np.int64) + 1 - first, voxels.shape)
        part = voxels[tuple(slice(a, max(a, b)) for a, b in zip(low, high, strict=True))]
        own = np.argwhere(np.isin(part.astype(np.uint64), supervoxels)) + low + first
        if not len(own):
            continue
        distance = np.sqrt((((own - point) * sizes) ** 2).sum(axis=1))
        best = int(distance.argmin())
        if distance[best] <= radius:
            z, y, x = own[best].tolist()
            label = voxels[tuple(own[best] - first)]
            return Nearest(int(label), (z, y, x), float(distance[best]))
    raise SplitRefused(
        Reason.NOT_ON_SEGMENT,
        f"The segment has no voxel within {radius:g} nm of the point at {place_words(point)}. "
        "Move the point onto the segment.",
    )
