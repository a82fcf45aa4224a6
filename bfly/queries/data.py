"""A request for a scaled subvolume of a channel."""

from __future__ import annotations

import math
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from typing_extensions import override

from bfly import registry
from bfly.geometry import BoundingBox, Zyx, ceil_div, zyx
from bfly.keywords import INPUT
from bfly.queries.allowed import OneOf, Whole
from bfly.queries.query import Query

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike

    from bfly.encoders.encoder import Encoder
    from bfly.queries.allowed import Allowed

    Numbers = np.ndarray[Any, np.dtype[np.int64]]
    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["BoxQuery", "DataQuery"]

MOST_HALVINGS = 31
"""The coarsest mip that can be asked for; no volume has more to halve."""

FAR = 2**53
"""The highest coordinate: as far as the numbers of JSON are exact."""


class DataQuery(Query):
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

    WORDS: ClassVar[dict[str, str]] = {
        **Query.WORDS,
        "z": "z",
        "y": "y",
        "x": "x",
        "depth": "depth",
        "height": "height",
        "width": "width",
        "resolution": "resolution",
        "format": "format",
        "view": "view",
    }
    ALLOWED: ClassVar[dict[str, Allowed]] = {
        **Query.ALLOWED,
        "method": OneOf(lambda: INPUT.METHODS.IMAGE_LIST),
        "z": Whole(-FAR, FAR, "the first section"),
        "y": Whole(-FAR, FAR, "the first row, in voxels of the mip"),
        "x": Whole(-FAR, FAR, "the first column, in voxels of the mip"),
        "depth": Whole(1, FAR, "how many sections"),
        "height": Whole(1, FAR, "how many voxels of the mip in y"),
        "width": Whole(1, FAR, "how many voxels of the mip in x"),
        "resolution": Whole(0, MOST_HALVINGS, "the mip: how many times x and y are halved"),
        "format": OneOf(partial(registry.names, "encoders"), "the format of the voxels"),
        "view": OneOf(lambda: INPUT.IMAGE.VIEW.LIST, "how voxels become pixels"),
    }
    _INPUT: ClassVar[dict[str, str]] = {
        **Query._INPUT,
        **{f"POSITION.{word.upper()}": word for word in ("z", "y", "x")},
        **{f"POSITION.{word.upper()}": word for word in ("depth", "height", "width")},
        "RESOLUTION.XY": "resolution",
        "IMAGE.FORMAT": "format",
        "IMAGE.VIEW": "view",
    }

    axes: Zyx = (0, 1, 2)
    """The axes (of z, y, x) that the answer's sections, rows and columns count."""

    plain = True
    """Whether the answer is the voxels of `box` in their order, and nothing else."""

    method = "data"
    z = y = x = 0
    depth = height = width = 1
    resolution = 0
    format = "png"
    view = "grayscale"

    @property
    def shape(self) -> Zyx:
        """The extent of the answer: depth, height, width."""
        return self.depth, self.height, self.width

    @property
    def nbytes(self) -> int:
        """The bytes of the voxels that are asked for; known after `update_source`."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def start(self) -> Zyx:
        """The first voxel that is asked for, from the channel's first, as ``z`` to ``x`` count."""
        (k, j, i), sections = self.off_zyx, self.sections
        return self.z - k * sections, self.y - j, self.x - i

    @property
    def chunk(self) -> Zyx:
        """What is read at once of the mip, as ``depth`` to ``width`` count."""
        level, sections = self.volume.level(self.resolution), self.sections
        z, y, x = (n * t for n, t in zip(level.per_unit, level.tile, strict=True))
        return z * sections, y, x

    def slab(self, axis: int, start: int, count: int) -> Self:
        """Give the same request for a part of its voxels along an axis.

        Parameters
        ----------
        axis : int
            Of z, y, x.
        start, count : int
            The part, counted from the request's first voxel.
        """
        part = copy(self)
        for name in ("INPUT", "RUNTIME", "OUTPUT"):
            # They are windows onto the request that was copied.
            part.__dict__.pop(name, None)
        setattr(part, "zyx"[axis], (self.z, self.y, self.x)[axis] + start)
        setattr(part, ("depth", "height", "width")[axis], count)
        return part

    @property
    def sections(self) -> int:
        """How many of the sections that ``z`` and ``depth`` count make one of the mip."""
        return self.factor[0]

    @property
    def box(self) -> BoundingBox:
        """The voxels of the mip that the request touches."""
        sections = self.sections
        stop = ceil_div(self.z + self.depth, sections), self.y + self.height, self.x + self.width
        return BoundingBox((self.z // sections, self.y, self.x), stop)

    @property
    def whole(self) -> BoundingBox:
        """All voxels of the channel at the mip, as ``z`` to ``width`` count them."""
        return self.volume.level(self.resolution).place.refined((self.sections, 1, 1))

    def spread(self, voxels: Voxels) -> Voxels:
        """Give the sections that were asked for, from the voxels of `box`."""
        sections = self.sections
        if sections == 1:
            return voxels
        asked = np.arange(self.z, self.z + self.depth)
        return voxels[asked // sections - self.z // sections]

    def part(self, mip: int, box: BoundingBox) -> BoxQuery:
        """Give a request for another box of the same channel, at a mip, without its edits."""
        words = {word: getattr(self, name) for word, name in Query.WORDS.items()}
        words["state"] = None
        (z, y, x), (depth, height, width) = box.start, box.shape
        return BoxQuery(
            **words, z=z, y=y, x=x, depth=depth, height=height, width=width, resolution=mip
        )

    @property
    def tile_zyx(self) -> Zyx:
        """The shape of a tile at the mip; beyond the stored mips it is that of the last."""
        if not self.block_size:
            return self.volume.level(self.resolution).tile
        return zyx(self.block_size[min(self.resolution, len(self.block_size) - 1)])

    @property
    def off_zyx(self) -> Zyx:
        """Where the channel's first voxel lies at the mip, rounded down."""
        if self.known_volume is not None:
            return self.known_volume.level(self.resolution).origin
        return zyx(a // f for a, f in zip(self.offset, self.factor, strict=True))

    @property
    def factor(self) -> Zyx:
        """Voxels of mip 0 to a voxel; until the source is known (1, 2^resolution, 2^resolution)."""
        if self.known_volume is not None:
            return self.known_volume.level(self.resolution).factor
        return 1, 1 << self.resolution, 1 << self.resolution

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

    def arranged(self, voxels: Voxels) -> Voxels:
        """Give the voxels as they are to be encoded: sections of rows of columns."""
        return voxels

    @property
    def shown_kind(self) -> str:
        """What the voxels are taken for when they become pixels."""
        return self.volume.kind

    @property
    def encoder(self) -> Encoder:
        """What writes the voxels in the format."""
        encoder: Encoder = registry.load("encoders", self.format)()
        return encoder

    @property
    def mime_type(self) -> str:
        """The media type of the answer."""
        return self.encoder.media_type


class BoxQuery(DataQuery):
    """A request whose ``z`` and ``depth`` count voxels of the mip, as its other words do."""

    @property
    @override
    def sections(self) -> int:
        return 1
