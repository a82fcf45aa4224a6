"""Split one supervoxel, voxel by voxel."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.splitting.fronts import UNREACHED, Fronts, Grid
from bfly.splitting.libraries import ndimage
from bfly.splitting.pieces import split_along_membranes
from bfly.splitting.refusal import Reason, SplitRefused, place_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Places = NDArray[np.int64]

__all__ = ["split_inside"]

DEEPEST = 8
"""Steps from the border from which on all voxels take the time 1. One that is n times nearer to the
border takes n² times as long; more steps make more rounds of fewer voxels."""


def split_inside(
    mask: NDArray[np.bool_],
    voxel_size: tuple[float, float, float],
    sources: Places,
    sinks: Places,
    image: np.ndarray[Any, np.dtype[Any]] | None = None,
) -> NDArray[np.uint8]:
    """Separate two groups of points within a mask.

    With an image, the cut follows membranes (`bfly.splitting.pieces`). Without one, two fronts
    spread from the groups. They are slow near the border of the mask, so they pass thick parts
    quickly and meet at necks. Points of a group are joined before by a path that prefers the
    middle. Each part is connected, if the mask is.
    Components of the mask that have no points go to the part that they touch most, or else to the
    larger one.

    Parameters
    ----------
    mask : numpy.ndarray
        bool of shape (z, y, x): voxels of the supervoxel in a box.
    voxel_size : tuple of float
        Nanometres (z, y, x).
    sources, sinks : numpy.ndarray
        int64 of shape (n, 3): points (z, y, x) relative to the first voxel of the box. Each is
        moved to the nearest voxel of the mask.
    image : numpy.ndarray, optional
        Electron micrograph of the box, of the shape of the mask; membranes are dark.

    Returns
    -------
    numpy.ndarray
        uint8 of the shape of the mask: 0 outside it, 1 for the sources' part, 2 for the sinks'.

    Raises
    ------
    SplitRefused
        The reason is one of `NO_POINTS`, `NOT_ON_SEGMENT`, `SAME_VOXEL` and `INSEPARABLE`.
    """
    if not len(sources) or not len(sinks):
        raise SplitRefused(
            Reason.NO_POINTS, "One group has no points: each side of a split needs at least one."
        )
    if not mask.any():
        raise SplitRefused(
            Reason.NOT_ON_SEGMENT,
            "The supervoxel has no voxel in the box around the points. Move the points onto it.",
        )
    grid = Grid(mask, voxel_size)
    groups = [_snapped(mask, grid.sizes, points) for points in (sources, sinks)]
    both = np.intersect1d(groups[0], groups[1])
    if len(both):
        place = np.argwhere(mask)[both[0]]
        raise SplitRefused(
            Reason.SAME_VOXEL,
            f"Points of both groups are nearest to the same voxel ({place_words(place)}). Move "
            "them farther apart.",
        )
    parts = np.zeros(mask.shape, np.uint8)
    parts[mask] = _parts(grid, mask, voxel_size, groups, image)
    return _completed(mask, parts)


def _parts(
    grid: Grid,
    mask: NDArray[np.bool_],
    voxel_size: tuple[float, float, float],
    groups: list[Places],
    image: np.ndarray[Any, np.dtype[Any]] | None,
) -> NDArray[np.uint8]:
    """Return the part of each voxel of the mask, 0 in components without points."""
    if image is not None:
        return split_along_membranes(mask, grid, voxel_size, image, *groups)
    slowness = np.asarray((DEEPEST / grid.depth(DEEPEST)) ** 2, np.int32)
    fronts = Fronts(grid, slowness)
    for number, voxels in enumerate(_joined(grid, slowness, mask, groups), 1):
        fronts.start(voxels, number)
    fronts.run()
    return fronts.owner.astype(np.uint8)


def _snapped(mask: NDArray[np.bool_], sizes: NDArray[np.float64], points: Places) -> Places:
    """Return the numbers of the voxels nearest to points, sorted, without duplicates."""
    numbers = []
    for point in points:
        place = tuple(point.tolist())
        if not (np.all(point >= 0) and np.all(point < mask.shape) and mask[place]):
            voxels = np.argwhere(mask)
            nearest = (((voxels - point) * sizes) ** 2).sum(axis=1).argmin()
            place = tuple(voxels[nearest].tolist())
        numbers.append(
            np.count_nonzero(mask.reshape(-1)[: np.ravel_multi_index(place, mask.shape)])
        )
    return np.unique(np.array(numbers, np.int64))


def _joined(
    grid: Grid, slowness: NDArray[np.int32], mask: NDArray[np.bool_], groups: list[Places]
) -> list[Places]:
    """Return the voxels of both groups, with those on paths that join their points."""
    components = ndimage().label(mask)[0][mask]
    for one, other in ((0, 1), (1, 0)):
        first = _tree(grid, slowness, components, groups[one], groups[other])
        if first is None:
            continue
        second = _tree(grid, slowness, components, groups[other], first)
        if second is not None:
            return [first, second] if one == 0 else [second, first]
    raise SplitRefused(
        Reason.INSEPARABLE,
        "The two groups cannot be told apart: every way between two points of one group crosses "
        "the other group. Move the points of each group closer together.",
    )


def _tree(
    grid: Grid,
    slowness: NDArray[np.int32],
    components: NDArray[np.int32],
    points: Places,
    blocked: Places,
) -> Places | None:
    """Return points and paths between those in one component; None if something blocks them."""
    found = [points]
    for component in np.unique(components[points]):
        own = points[components[points] == component]
        if len(own) == 1:
            continue
        fronts = Fronts(grid, slowness)
        fronts.block(blocked)
        fronts.start(own[:1], 1)
        fronts.run(own)
        if (fronts.arrival[own] == UNREACHED).any():
            return None
        found += [np.array(fronts.path(int(end)), np.int64) for end in own[1:]]
    return np.unique(np.concatenate(found))


def _completed(mask: NDArray[np.bool_], parts: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Assign the voxels that no front reached to the part that they touch most."""
    left = np.argwhere(mask & (parts == 0))
    if not len(left):
        return parts
    larger = int(np.bincount(parts[mask], minlength=3)[1:].argmax()) + 1
    components = ndimage().label(mask & (parts == 0))[0][tuple(left.T)]
    around = np.pad(parts, 1)
    touches = np.zeros((3, int(components.max()) + 1), np.int64)
    for offset in itertools.product((0, 1, 2), repeat=3):
        part = around[tuple((left + offset).T)]
        np.add.at(touches, (part, components), 1)
    chosen = np.where(touches[1:].any(axis=0), touches[1:].argmax(axis=0) + 1, larger)
    parts[tuple(left.T)] = chosen[components]
    return parts
