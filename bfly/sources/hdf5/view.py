"""View of three axes of a dataset, at one place on each of its other axes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bfly.geometry import zyx
from bfly.sources.shared.contiguous import Flat
from bfly.storage.limits import PAGES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from bfly.geometry import BoundingBox, Zyx

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["View"]


@dataclass(frozen=True, slots=True)
class View:
    """Three axes of a dataset of any number of axes, in any order.

    Parameters
    ----------
    zyx : tuple of int
        The axes of the dataset that are z, y and x; z is None if it has one section.
    at : tuple of int
        For each axis of the dataset, the place on it; None for z, y and x.
    """

    zyx: tuple[int | None, int, int]
    at: tuple[int | None, ...]

    @property
    def is_whole(self) -> bool:
        """Whether the dataset has three axes, z, y, x."""
        return self.zyx == (0, 1, 2) and len(self.at) == 3

    @property
    def _stored(self) -> list[int]:
        """The axes of the dataset that are z, y and x, in its order."""
        return [axis for axis, place in enumerate(self.at) if place is None]

    def sides(self, values: Sequence[int]) -> Zyx:
        """Return the values of the axes z, y and x; 1 for a z that there is not."""
        return zyx(1 if axis is None else values[axis] for axis in self.zyx)

    def selection(self, box: BoundingBox) -> tuple[slice, ...]:
        """Return a box (z, y, x) as slices of the dataset, one voxel along the other axes."""
        slices = [slice(0) if at is None else slice(at, at + 1) for at in self.at]
        for axis, side in zip(self.zyx, box.slices, strict=True):
            if axis is not None:
                slices[axis] = side
        return tuple(slices)

    def cut(self, array: Voxels) -> Voxels:
        """Return the voxels (z, y, x) of an array: of a chunk, or of what `selection` reads."""
        if self.is_whole:
            return array
        sides = zip(self.at, array.shape, strict=True)
        voxels = array[tuple(slice(None) if at is None else at % n for at, n in sides)]
        if self.zyx[0] is None:
            voxels = voxels[np.newaxis]
            return voxels if self.zyx[1] < self.zyx[2] else voxels.swapaxes(1, 2)
        return voxels.transpose([self._stored.index(axis) for axis in self.zyx if axis is not None])

    def place_of(self, offset: Sequence[int], chunk: Sequence[int]) -> Zyx | None:
        """Return the position of a chunk (z, y, x), in chunks; None if it is not in the view.

        Parameters
        ----------
        offset, chunk : sequence of int
            First voxel and shape of the chunk, in the axes of the dataset.
        """
        place = tuple(map(int.__floordiv__, offset, chunk))
        if self.is_whole:
            return zyx(place)
        wanted = (None if at is None else at // n for at, n in zip(self.at, chunk, strict=True))
        others = zip(wanted, place, strict=True)
        if any(index not in (None, found) for index, found in others):
            return None
        return zyx(0 if axis is None else place[axis] for axis in self.zyx)

    def keeps_bytes(self, chunk: Sequence[int]) -> bool:
        """Return whether a chunk's bytes are those of its voxels in the order z, y, x."""
        others = [n for at, n in zip(self.at, chunk, strict=True) if at is not None]
        kept = [axis for axis in self.zyx if axis is not None]
        return kept == sorted(kept) and math.prod(others) == 1

    def flat(
        self, path: str, shape: Sequence[int], stored: np.dtype[Any], offset: int
    ) -> Flat | None:
        """Return the view of a contiguous dataset; None if its rows are not contiguous.

        Parameters
        ----------
        path, stored, offset
            As for `Flat`, of the whole dataset.
        shape : sequence of int
            Of the dataset.
        """
        steps = [stored.itemsize * math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
        first = offset + sum(
            at * step for at, step in zip(self.at, steps, strict=True) if at is not None
        )
        axes = self._stored
        order = [self.zyx.index(axis) for axis in axes]
        slow, height, width = [0] * (3 - len(axes)) + order
        sides = self.sides(shape)
        section = stored.itemsize * sides[height] * sides[width]
        if steps[axes[-1]] != stored.itemsize or steps[axes[-2]] != stored.itemsize * sides[width]:
            return None
        places = (slow, height, width)
        if len(axes) < 3 or sides[slow] == 1 or steps[axes[0]] == section:
            return Flat(path, sides, stored, first, places)
        if sides[slow] > PAGES:
            return None
        sections = tuple(first + steps[axes[0]] * k for k in range(sides[slow]))
        return Flat(path, sides, stored, first, places, sections)
