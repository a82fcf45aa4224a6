"""Splits inside supervoxels: which of their voxels go to which side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bfly.core.split_beyond import spread
from bfly.errors import TooLarge
from bfly.geometry import BoundingBox, zyx
from bfly.splitting.inside import split_inside
from bfly.splitting.min_cut import SINK, SOURCE
from bfly.splitting.refusal import Reason, SplitRefused, place_words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Ids = NDArray[np.uint64]
    Places = NDArray[np.int64]
    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["Inside", "inside_of"]

LARGEST = 1 << 21
"""Voxels of a supervoxel that are separated one by one, at most: some seconds."""


LARGEST_EXTENT = 1 << 25
"""Voxels of the box around a supervoxel, at most, where it is known what is connected."""


class Inside(NamedTuple):
    """Supervoxels in two parts.

    Parameters
    ----------
    box : BoundingBox
        A box in the dataset, mip 0.
    labels : numpy.ndarray
        The supervoxels of its voxels.
    mask : numpy.ndarray
        bool: the voxels that leave their supervoxels.
    side : int
        `SOURCE` or `SINK`: the side that these voxels go to.
    old, new : numpy.ndarray
        uint64, sorted: the supervoxels that are split, and ids for the pieces that nothing in the
        box has. They are for the search only.
    """

    box: BoundingBox
    labels: Voxels
    mask: NDArray[np.bool_]
    side: int
    old: Ids
    new: Ids

    def shown(self, labels: Voxels, box: BoundingBox) -> Voxels:
        """Return the labels of any box with the pieces; uint64."""
        labels = labels.astype(np.uint64)
        both = box & self.box
        if both.size:
            part = labels[both.relative_to(box.start).slices]
            mask = self.mask[both.relative_to(self.box.start).slices]
            part[mask] = self.new[np.searchsorted(self.old, part[mask])]
        return labels


def inside_of(
    supervoxels: Sequence[int],
    groups: Sequence[Places],
    box: BoundingBox,
    whole: BoundingBox,
    voxel_size: tuple[float, float, float],
    read: Callable[[BoundingBox], Voxels],
    image: Callable[[BoundingBox], Voxels | None],
    extent: BoundingBox | None = None,
) -> Inside:
    """Return supervoxels in two parts, found from the points of both groups in a box.

    What a supervoxel has outside the box goes with the part that it is connected to, if the extent
    of the supervoxel is known and not too large. Otherwise it stays with the part that keeps the
    id, the one that leaves the box with more voxels.

    Parameters
    ----------
    supervoxels : sequence of int
        Those that have points of both groups.
    groups : sequence of numpy.ndarray
        int64 of shape (n, 3): the points of the sources, and of the sinks, in voxels (z, y, x) of
        the dataset.
    box, whole : BoundingBox
        The box, and the whole channel.
    voxel_size : tuple of float
        Nanometres (z, y, x).
    read, image : callable
        Return the supervoxels, and the image if there is one, of a box.
    extent : BoundingBox, optional
        A box that has all voxels of these supervoxels.

    Raises
    ------
    SplitRefused
        As `split_inside`.
    TooLarge
        A supervoxel has too many voxels in the box.
    """
    old = np.array(sorted(supervoxels), np.uint64)
    box, labels = _bounded(box, old, groups, read)
    parts = np.zeros(box.shape, np.uint8)
    for supervoxel in old:
        mask = labels == supervoxel.astype(labels.dtype)
        hull = _hull(mask)
        own = [_on(mask, points - np.array(box.start)) - hull.start for points in groups]
        _check_apart(own[0], own[1], hull.shift(box.start))
        seen = image(hull.shift(box.start))
        found = split_inside(mask[hull.slices], voxel_size, own[0], own[1], seen)
        parts[hull.slices] += found
    leaving = [_leaving(parts == side + 1, box, whole) for side in range(2)]
    place = box if extent is None else box.joined(extent)
    if extent is not None and place.size <= LARGEST_EXTENT:
        far = np.ascontiguousarray(read(place))
        everywhere = np.zeros(place.shape, np.uint8)
        for supervoxel in old.astype(labels.dtype):
            near = np.where(labels == supervoxel, parts, np.uint8(0))
            everywhere += spread(near, box, far == supervoxel, place)
        box, labels, parts, leaving = place, far, everywhere, [0, 0]
    sizes = [int(np.count_nonzero(parts == side + 1)) for side in range(2)]
    moved = min(range(2), key=lambda side: (leaving[side], sizes[side]))
    mask = parts == moved + 1
    hull = _hull(mask)
    return Inside(
        hull.shift(box.start),
        labels[hull.slices].copy(),
        mask[hull.slices].copy(),
        (SOURCE, SINK)[moved],
        old,
        np.uint64(2**64 - 1) - np.arange(len(old), dtype=np.uint64)[::-1],
    )


def _bounded(
    box: BoundingBox,
    supervoxels: Ids,
    groups: Sequence[Places],
    read: Callable[[BoundingBox], Voxels],
) -> tuple[BoundingBox, Voxels]:
    """Return a box around the points, as large as possible within a box, and its labels."""
    points = np.concatenate(list(groups))
    hull = BoundingBox(zyx(points.min(axis=0)), zyx(points.max(axis=0) + 1))
    labels = np.ascontiguousarray(read(box))
    while True:
        counts = [np.count_nonzero(labels == each.astype(labels.dtype)) for each in supervoxels]
        if max(counts) <= LARGEST:
            return box, labels
        if box == hull:
            raise TooLarge(
                f"The supervoxel {supervoxels[np.argmax(counts)]} has {max(counts)} voxels between "
                f"the points; allowed are {LARGEST} for a split inside it. Place the points of "
                "both groups closer together."
            )
        corners = np.array([[box.start, hull.start], [box.stop, hull.stop]])
        inner = corners[:, 1] + np.trunc((corners[:, 0] - corners[:, 1]) * 0.75).astype(int)
        smaller = BoundingBox(zyx(inner[0]), zyx(inner[1]))
        labels = np.ascontiguousarray(labels[smaller.relative_to(box.start).slices])
        box = smaller


def _on(mask: NDArray[np.bool_], points: Places) -> Places:
    """Return the points that are on a mask."""
    own: Places = points[mask[tuple(points.T)]]
    return own


def _check_apart(sources: Places, sinks: Places, hull: BoundingBox) -> None:
    """Check that no voxel is a point of both groups, in the words of the dataset."""
    both = {zyx(place) for place in sources} & {zyx(place) for place in sinks}
    for place in sorted(both)[:1]:
        where = place_words(np.array(place) + hull.start)
        raise SplitRefused(
            Reason.SAME_VOXEL,
            f"Points of both groups are nearest to the same voxel ({where}). Move them farther "
            "apart.",
        )


def _hull(mask: NDArray[np.bool_]) -> BoundingBox:
    lines = [np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    return BoundingBox(zyx(each[0] for each in lines), zyx(each[-1] + 1 for each in lines))


def _leaving(mask: NDArray[np.bool_], box: BoundingBox, whole: BoundingBox) -> int:
    """Return how many voxels of a mask are at the faces of a box that are not the channel's."""
    count = 0
    for axis in range(3):
        if box.start[axis] > whole.start[axis]:
            count += int(np.count_nonzero(mask.take(0, axis)))
        if box.stop[axis] < whole.stop[axis]:
            count += int(np.count_nonzero(mask.take(-1, axis)))
    return count
