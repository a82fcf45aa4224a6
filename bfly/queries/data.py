"""A request for a scaled subvolume of a channel, with the documented numbers about it as arrays."""

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
    """A request for a box of voxels at some mip, in some format.

    The words ``z`` and ``depth`` count sections of mip 0 at every mip; where a mip has fewer,
    each of its sections is given for all those that it stands for (see `BoxQuery` for a request
    that counts the mip's own).

    Coordinates named *target* count voxels of the mip that is asked for, those named
    *source* count voxels of mip 0; both have the origin of the dataset, so that a channel
    with an ``offset`` starts there. Arrays are zyx, boxes 2 × 3 (start, stop).

    Parameters
    ----------
    **keywords
        The words of `Query`, and ``z``, ``y``, ``x`` (0 unless given), ``depth``,
        ``height``, ``width`` (1 unless given; at least 1), ``resolution`` (the mip: halvings
        of x and y), ``format``, ``view``.

    Raises
    ------
    BadRequest
        A word is unknown or has a value that is not allowed.
    """

    def part(self, mip: int, box: BoundingBox) -> BoxQuery:
        """Give a request for another box of the same channel, at a mip, without its edits."""
        words = {word: getattr(self, name) for word, name in Query.WORDS.items()}
        words["state"] = None
        (z, y, x), (depth, height, width) = box.start, box.shape
        return BoxQuery(
            **words, z=z, y=y, x=x, depth=depth, height=height, width=width, resolution=mip
        )

    @property
    def scales(self) -> Numbers:
        """Voxels of mip 0 to a voxel, as `factor`."""
        return np.array(self.factor)

    @property
    def source_off(self) -> Numbers:
        """Where the channel's first voxel lies, at mip 0."""
        if self.known_volume is not None:
            return np.array(self.known_volume.level(0).origin)
        return np.array(self.offset)

    @property
    def target_off(self) -> Numbers:
        """Where the channel's first voxel lies at the mip, rounded down."""
        return np.array(self.off_zyx)

    @property
    def blocksizes(self) -> Numbers:
        """The shape of a tile at each stored mip, N × 3."""
        return np.array(self.block_size)

    @property
    def blocksize(self) -> Numbers:
        """The shape of a tile at the mip."""
        return np.array(self.tile_zyx)

    @property
    def tile_shape(self) -> Numbers:
        """The shape of a tile at the mip."""
        return self.blocksize

    @property
    def target_shape(self) -> Numbers:
        """The requested extent, at the mip."""
        return np.array(self.box.shape)

    @property
    def source_shape(self) -> Numbers:
        """The requested extent, at mip 0."""
        return self.target_shape * self.scales

    @property
    def target_origin(self) -> Numbers:
        """The first requested voxel, at the mip."""
        return np.array(self.box.start)

    @property
    def source_origin(self) -> Numbers:
        """The first requested voxel, at mip 0."""
        return self.target_origin * self.scales

    @property
    def target_bounds(self) -> Numbers:
        """The requested box, at the mip."""
        return np.array([self.box.start, self.box.stop])

    @property
    def tile_bounds(self) -> Numbers:
        """The tiles that touch the request, counted from the channel's first voxel."""
        tiles = self.box.relative_to(self.off_zyx).in_tiles(self.tile_zyx)
        return np.array([tiles.start, tiles.stop])

    def all_in_some(self, t_index: ArrayLike) -> Numbers:
        """Give the part of a tile that the request covers, from the tile's first voxel.

        Parameters
        ----------
        t_index : array_like of int
            The tile's position zyx, counted in tiles from the channel's first voxel.
        """
        part = self.part_of_tile(zyx(np.asarray(t_index).ravel().tolist()))
        return np.array([part.start, part.stop])

    def part_of_tile(self, index: Zyx) -> BoundingBox:
        """Give `all_in_some` as a box."""
        tile = BoundingBox.of_shape(self.tile_zyx, self.tile_origin(index))
        return (self.box & tile).relative_to(tile.start)

    def tile_origin(self, index: Zyx) -> Zyx:
        """Give the first voxel of a tile, at the mip."""
        return zyx(i * t + o for i, t, o in zip(index, self.tile_zyx, self.off_zyx, strict=True))

    def some_in_all(self, t_origin: ArrayLike, t_shape: ArrayLike) -> Numbers:
        """Give the place of some voxels in the requested array.

        Parameters
        ----------
        t_origin : array_like of int
            The first of them at the mip, zyx.
        t_shape : array_like of int
            Their extent, zyx.
        """
        start = np.asarray(t_origin).ravel() - self.target_origin
        return np.array([start, start + np.asarray(t_shape).ravel()])


class BoxQuery(DataQuery):
    """A request whose ``z`` and ``depth`` count voxels of the mip, as its other words do."""

    @property
    @override
    def sections(self) -> int:
        return 1
