"""Fronts that spread through a mask, voxel by voxel, at different speeds."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Indices = NDArray[np.int64]

__all__ = ["UNREACHED", "Fronts", "Grid"]

UNREACHED = np.iinfo(np.int32).max


class Grid:
    """The voxels of a mask, numbered in z, y, x order, and their neighbours across faces.

    Parameters
    ----------
    mask : numpy.ndarray
        bool of shape (z, y, x), with fewer than 2³¹ voxels.
    voxel_size : tuple of float
        Nanometres (z, y, x).
    """

    def __init__(self, mask: NDArray[np.bool_], voxel_size: tuple[float, float, float]) -> None:
        self.count = int(np.count_nonzero(mask))
        self.sizes = np.asarray(voxel_size, np.float64)
        self.steps = [max(1, round(size / min(voxel_size))) for size in voxel_size]
        """Length of a step along z, y and x: multiples of the shortest one."""
        # A voxel outside the mask has the number `count`, one outside the box the next.
        number = np.full([side + 2 for side in mask.shape], self.count + 1, np.int32)
        inner = number[1:-1, 1:-1, 1:-1]
        inner[...] = self.count
        inner[mask] = np.arange(self.count, dtype=np.int32)
        flat = number.reshape(-1)
        place = np.flatnonzero(flat < self.count)
        strides = (number.shape[1] * number.shape[2], number.shape[2], 1)
        self.neighbours = [
            (axis, flat[place + sign * stride])
            for axis, stride in enumerate(strides)
            for sign in (-1, 1)
        ]
        """Axis, and int32 number of each voxel's neighbour, for six directions."""

    def depth(self, deepest: int) -> NDArray[np.int32]:
        """Return how deep in the mask each voxel is, in shortest steps along axes.

        The sides of the box are no border, for the object continues there.

        Parameters
        ----------
        deepest : int
            What voxels have that are deeper; those at the border have 1.
        """
        is_border = np.zeros(self.count, bool)
        for _, neighbour in self.neighbours:
            is_border |= neighbour == self.count
        spread = Fronts(self, np.ones(self.count, np.int32))
        spread.start(np.flatnonzero(is_border), 1)
        spread.run(last=deepest - 2)
        return np.minimum(spread.arrival, deepest - 1) + 1


class Fronts:
    """Fronts from several places at once; each voxel belongs to the one that arrives first.

    These are Dial's buckets, one for each time, whose voxels advance together. (R. Dial, Algorithm
    360: shortest-path forest with topological ordering, Communications of the ACM 12, 1969.)

    Parameters
    ----------
    grid : Grid
        The voxels.
    slowness : numpy.ndarray
        int32, positive: time to enter each voxel by the shortest step.
    """

    def __init__(self, grid: Grid, slowness: NDArray[np.int32]) -> None:
        self._grid = grid
        self._slowness = np.append(slowness, [0, 0])
        # Voxels outside the mask have been reached before all time, so no front enters them.
        self._arrival = np.full(grid.count + 2, UNREACHED, np.int32)
        self._arrival[grid.count :] = -1
        self._owner = np.zeros(grid.count + 2, np.int32)
        self._buckets: dict[int, list[Indices]] = defaultdict(list)

    @property
    def arrival(self) -> NDArray[np.int32]:
        """Time of arrival at each voxel, or `UNREACHED`."""
        return self._arrival[:-2]

    @property
    def owner(self) -> NDArray[np.int32]:
        """Number of the front that arrived first, or 0."""
        return self._owner[:-2]

    def block(self, voxels: Indices) -> None:
        """Keep all fronts out of voxels."""
        self._arrival[voxels] = -1

    def start(self, voxels: Indices, number: int | Indices) -> None:
        """Start fronts at voxels, at time 0, with one number for all or one for each."""
        self._arrival[voxels] = 0
        self._owner[voxels] = number
        self._buckets[0].append(voxels)

    def run(self, until: Indices | None = None, last: int = UNREACHED) -> None:
        """Let the fronts spread to all voxels that they can reach.

        Parameters
        ----------
        until : numpy.ndarray, optional
            int64: stop when these voxels have been reached.
        last : int
            Stop after this time.
        """
        time = 0
        while self._buckets:
            if until is not None and (self._arrival[until] <= time).all():
                return
            while time not in self._buckets:
                time += 1
            if time > last:
                return
            voxels = np.concatenate(self._buckets.pop(time))
            self._advance(voxels[self._arrival[voxels] == time], time)

    def _advance(self, voxels: Indices, time: int) -> None:
        """Reach the neighbours of voxels, all of which are reached at one time."""
        owner = self._owner[voxels]
        reached, times = [], []
        for axis, neighbours in self._grid.neighbours:
            # No voxel is the neighbour of two others in one direction.
            target = neighbours[voxels]
            is_later = self._arrival[target] > time
            target, own = target[is_later], owner[is_later]
            arrival = self._slowness[target] * np.int32(self._grid.steps[axis]) + np.int32(time)
            is_earlier = arrival < self._arrival[target]
            target, arrival = target[is_earlier], arrival[is_earlier]
            self._arrival[target] = arrival
            self._owner[target] = own[is_earlier]
            reached.append(target)
            times.append(arrival)
        target, arrival = np.concatenate(reached), np.concatenate(times)
        order = np.argsort(arrival, kind="stable")
        target, arrival = target[order], arrival[order]
        begins = np.flatnonzero(np.diff(arrival, prepend=-1))
        for begin, part in zip(begins, np.split(target, begins[1:]), strict=bool(len(target))):
            self._buckets[int(arrival[begin])].append(part)

    def path(self, voxel: int) -> list[int]:
        """Return the voxels on the fastest way from a start to a voxel that has been reached."""
        path = [voxel]
        while self._arrival[voxel] > 0:
            voxel = next(
                int(before[voxel])
                for axis, before in self._grid.neighbours
                if self._arrival[before[voxel]] >= 0
                and self._arrival[voxel] - self._arrival[before[voxel]]
                == self._slowness[voxel] * self._grid.steps[axis]
            )
            path.append(voxel)
        return path
