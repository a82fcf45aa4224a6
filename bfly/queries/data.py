"""A request for a box of a channel at a mip, with its documented coordinates as arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from bfly.geometry import BoundingBox, Zyx, zyx
from bfly.queries.cutout import CutoutQuery
from bfly.queries.query import Query

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    Numbers = np.ndarray[Any, np.dtype[np.int64]]

__all__ = ["BoxQuery", "DataQuery"]


class DataQuery(CutoutQuery):
    """A request for a box of voxels, at a mip and in a format.

    ``z`` and ``depth`` count sections of mip 0 at every mip. A mip with fewer sections repeats
    each of them. `BoxQuery` counts the sections of the mip instead.

    Names with *target* count voxels of the requested mip, names with *source* voxels of mip 0,
    both from the first voxel of the file.
    Arrays are zyx, boxes 2 × 3 (start, stop).

    Parameters
    ----------
    **keywords
        Those of `Query`, and ``z``, ``y``, ``x`` (default 0), ``depth``, ``height``, ``width``
        (default and minimum 1), ``resolution`` (the mip: halvings of x and y), ``format``,
        ``view``.

    Raises
    ------
    BadRequest
        The value of a keyword is not allowed.
    """

    def part(self, mip: int, box: BoundingBox) -> BoxQuery:
        """Return a request for another box of the channel, at a mip, without its edits."""
        words = {word: getattr(self, name) for word, name in Query.WORDS.items()}
        words["edits"] = None
        (z, y, x), (depth, height, width) = box.start, box.shape
        return BoxQuery(
            **words, z=z, y=y, x=x, depth=depth, height=height, width=width, resolution=mip
        )

    @property
    def scales(self) -> Numbers:
        """Voxels of mip 0 per voxel, as `factor`."""
        return np.array(self.factor)

    @property
    def source_off(self) -> Numbers:
        """Voxel of the file minus voxel asked for, at mip 0."""
        if self.known_volume is not None:
            return -np.array(self.known_volume.level(0).origin)
        return np.array(self.offset)

    @property
    def target_off(self) -> Numbers:
        """Voxel of the file minus voxel asked for, at the mip."""
        return -np.array(self.off_zyx)

    @property
    def blocksizes(self) -> Numbers:
        """Shape of a tile at each stored mip, N × 3."""
        return np.array(self.block_size)

    @property
    def blocksize(self) -> Numbers:
        """Shape of a tile at the mip."""
        return np.array(self.tile_zyx)

    @property
    def tile_shape(self) -> Numbers:
        """How many tiles the request touches along each axis."""
        first, last = self.tile_bounds
        count: Numbers = last - first
        return count

    @property
    def target_shape(self) -> Numbers:
        """Shape of the request, at the mip."""
        return np.array(self.box.shape)

    @property
    def source_shape(self) -> Numbers:
        """Shape of the request, at mip 0."""
        return self.target_shape * self.scales

    @property
    def target_origin(self) -> Numbers:
        """First requested voxel, at the mip."""
        return np.array(self.box.start) + self.target_off

    @property
    def source_origin(self) -> Numbers:
        """First requested voxel, at mip 0."""
        return self.target_origin * self.scales

    @property
    def target_bounds(self) -> Numbers:
        """Requested box, at the mip."""
        return np.array([self.box.start, self.box.stop]) + self.target_off

    @property
    def tile_bounds(self) -> Numbers:
        """Tiles that the request touches, counted from the channel's first voxel."""
        tiles = self.box.relative_to(self.off_zyx).in_tiles(self.tile_zyx)
        return np.array([tiles.start, tiles.stop])

    def all_in_some(self, t_index: ArrayLike) -> Numbers:
        """Return the part of a tile that the request covers, from the tile's first voxel.

        Parameters
        ----------
        t_index : array_like of int
            The tile's position zyx, counted in tiles from the channel's first voxel.
        """
        part = self.part_of_tile(zyx(np.asarray(t_index).ravel().tolist()))
        return np.array([part.start, part.stop])

    def part_of_tile(self, index: Zyx) -> BoundingBox:
        """Return `all_in_some` as a box."""
        tile = BoundingBox.of_shape((1, 1, 1), index).refined(self.tile_zyx)
        return (self.box.relative_to(self.off_zyx) & tile).relative_to(tile.start)

    def some_in_all(self, t_origin: ArrayLike, t_shape: ArrayLike) -> Numbers:
        """Return the position of some voxels in the requested array, clipped to it.

        Parameters
        ----------
        t_origin : array_like of int
            The first of these voxels at the mip, zyx, from the first voxel of the file.
        t_shape : array_like of int
            Their shape, zyx.
        """
        start = np.asarray(t_origin).ravel() - self.target_origin
        bounds = np.array([start, start + np.asarray(t_shape).ravel()])
        clipped: Numbers = np.clip(bounds, 0, self.target_shape)
        return clipped


class BoxQuery(DataQuery):
    """A request that also counts ``z`` and ``depth`` in voxels of the mip."""

    @property
    @override
    def sections(self) -> int:
        return 1
