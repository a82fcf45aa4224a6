"""One mip of a channel: its voxels, its tile grid, and its computation if it is not stored."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.downsample import downsample
from bfly.geometry import BoundingBox, Scale, Zyx, ceil_div, indexes, zyx

if TYPE_CHECKING:
    from collections.abc import Callable

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["LARGEST_STEP", "Level"]

LARGEST_STEP = 16 << 20
"""Bytes of finer voxels in memory at a time while a coarser mip is computed."""


@dataclass(frozen=True, slots=True)
class Level:
    """A mip, stored or computed.

    Boxes start at the channel's own first voxel. The grid of a computed mip, however, is that of
    the dataset: each voxel covers whole voxels of a coordinate system that all channels share.
    Channels with different offsets therefore stay aligned.

    Parameters
    ----------
    mip, stored : int
        The mip, and the stored mip that it is read or computed from.
    scale : Scale
        Scale of the stored mip.
    tile : tuple of int
        Shape of a tile (z, y, x), in voxels.
    factor : tuple of int
        Voxels of mip 0 per voxel (z, y, x).
    origin : tuple of int
        Position of the channel's first voxel in the dataset, at the mip, rounded down.
    step : tuple of int
        Stored voxels per voxel (z, y, x); (1, 1, 1) if the mip is stored.
    phase : tuple of int
        Stored voxels that the first voxel lacks (z, y, x).
    whole : BoundingBox
        All voxels; the first and the last may cover fewer stored voxels.
    tiles : BoundingBox
        Positions of all tiles.
    per_unit : tuple of int
        Tiles that one chunk holds, which are read together (z, y, x).
    """

    mip: int
    stored: int
    scale: Scale
    tile: Zyx
    factor: Zyx
    origin: Zyx
    step: Zyx
    phase: Zyx
    whole: BoundingBox
    tiles: BoundingBox
    per_unit: Zyx

    @classmethod
    def make(
        cls, mip: int, stored: int, scale: Scale, tile: Zyx, factor: Zyx, offset: Zyx
    ) -> Level:
        """Derive a mip from the stored one.

        Parameters
        ----------
        mip, stored, scale, tile, factor
            As for the class.
        offset : tuple of int
            Shift of the channel from the position that the file states (z, y, x), in voxels
            of mip 0.
        """
        step = zyx(coarse // fine for coarse, fine in zip(factor, scale.factor, strict=True))
        places = zip(scale.origin, offset, scale.factor, strict=True)
        fine = zyx(own + by // f for own, by, f in places)
        origin = zyx(a // s for a, s in zip(fine, step, strict=True))
        phase = zyx(a % s for a, s in zip(fine, step, strict=True))
        sizes = zip(scale.shape, phase, step, strict=True)
        whole = BoundingBox.of_shape(zyx(ceil_div(n + p, s) for n, p, s in sizes))
        per_unit = zyx(map(ceil_div, scale.chunk, tile)) if mip == stored else (1, 1, 1)
        tiles = whole.in_tiles(tile)
        return cls(mip, stored, scale, tile, factor, origin, step, phase, whole, tiles, per_unit)

    @property
    def is_stored(self) -> bool:
        """Whether the source has the mip."""
        return self.mip == self.stored

    @property
    def place(self) -> BoundingBox:
        """All voxels, in the coordinates of the dataset."""
        return self.whole.shift(self.origin)

    def tile_box(self, index: Zyx) -> BoundingBox:
        """Return the voxels of a tile, clipped to the volume."""
        return self.unit_box(BoundingBox.of_shape((1, 1, 1), index))

    def unit(self, index: Zyx) -> BoundingBox:
        """Return the unit of a tile: the tiles that are read together."""
        if self.per_unit == (1, 1, 1):
            return BoundingBox.of_shape(self.per_unit, index)
        (z, y, x), (k, j, i) = index, self.per_unit
        first = z // k * k, y // j * j, x // i * i
        return BoundingBox.of_shape(self.per_unit, first) & self.tiles

    def unit_box(self, unit: BoundingBox) -> BoundingBox:
        """Return the voxels of all tiles of a unit, clipped to the volume."""
        return unit.refined(self.tile) & self.whole

    def read(self, box: BoundingBox, kind: str, read: Callable[[BoundingBox], Voxels]) -> Voxels:
        """Read a box inside the mip; compute it if it is not stored.

        Parameters
        ----------
        box : BoundingBox
            The voxels to read.
        kind : {"image", "segmentation"}
            Computed voxels are the mean (image) or the mode (segmentation) of the stored
            voxels that they cover.
        read : callable
            Reads a box of the stored mip, possibly from a cache.
        """
        if self.mip == self.stored:
            return read(box)
        result: Voxels | None = None
        portion = self._portion(box.shape)
        for index in indexes(BoundingBox.of_shape(box.shape).in_tiles(portion)):
            start = zyx(b + i * p for b, i, p in zip(box.start, index, portion, strict=True))
            part = BoundingBox.of_shape(portion, start) & box
            fine = self.finer(part)
            coarse = downsample(read(fine), fine.shift(self.phase).start, self.step, kind)
            if part == box:
                return coarse
            if result is None:
                result = np.empty(box.shape, coarse.dtype)
            result[part.relative_to(box.start).slices] = coarse
        assert result is not None
        return result

    def finer(self, box: BoundingBox) -> BoundingBox:
        """Return the stored voxels that a box of the mip covers."""
        return box.refined(self.step).relative_to(self.phase) & self.scale.box

    def _portion(self, shape: Zyx) -> Zyx:
        """Return the shape of coarse voxels to compute at once: whole stored tiles, in bounds."""
        step = self.step
        portion = [min(n, max(1, t // s)) for n, t, s in zip(shape, self.tile, step, strict=True)]

        def voxels() -> int:
            return math.prod(portion) * math.prod(step)

        # This assumes 8 bytes per voxel, so the steps of narrower voxels are smaller than needed.
        most = LARGEST_STEP // 8
        while portion[0] > 1 and voxels() > most:
            portion[0] = ceil_div(portion[0], 2)
        for axis in (2, 1, 0):
            while portion[axis] < shape[axis] and voxels() * 2 <= most:
                portion[axis] = min(shape[axis], portion[axis] * 2)
        return zyx(portion)
