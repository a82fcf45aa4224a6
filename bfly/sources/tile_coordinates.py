"""The documented coordinates of a tile, as arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from bfly.geometry import BoundingBox, Zyx

    Numbers = np.ndarray[Any, np.dtype[np.int64]]

__all__ = ["TileCoordinates"]


class TileCoordinates:
    """Coordinates zyx of a tile, and of the requested voxels in it; boxes are 2 × 3.

    Names with *target* count voxels of the mip, names with *source* voxels of mip 0, both from
    the first voxel of the file.

    Attributes
    ----------
    index : tuple of int
        The tile's position, counted in tiles.
    crop : BoundingBox
        The requested voxels, from the tile's first voxel.
    """

    index: Zyx
    crop: BoundingBox

    if TYPE_CHECKING:

        @property
        def blocksize(self) -> Numbers:
            """Shape of a tile, at the mip."""

        @property
        def all_scales(self) -> Numbers:
            """Voxels of mip 0 per voxel of the tile."""

    @property
    def index_zyx(self) -> Numbers:
        """Position of the tile, counted in tiles."""
        return np.array(self.index)

    @property
    def pixels_kji(self) -> Numbers:
        """Requested voxels, 2 × 3, from the tile's first voxel."""
        return np.array([self.crop.start, self.crop.stop])

    @property
    def target_origin(self) -> Numbers:
        """First requested voxel, at the mip."""
        origin: Numbers = self.target_bounds[0]
        return origin

    @property
    def target_bounds(self) -> Numbers:
        """Box of the requested voxels, at the mip."""
        bounds: Numbers = self.pixels_kji + self.index_zyx * self.blocksize
        return bounds

    @property
    def target_tile_bounds(self) -> Numbers:
        """Box of the whole tile, at the mip."""
        origin = self.index_zyx * self.blocksize
        return np.array([origin, origin + self.blocksize])

    @property
    def source_bounds(self) -> Numbers:
        """Box of the requested voxels, at mip 0."""
        return np.multiply(self.target_bounds, self.all_scales)

    @property
    def source_tile_bounds(self) -> Numbers:
        """Box of the whole tile, at mip 0."""
        return np.multiply(self.target_tile_bounds, self.all_scales)
