"""What is asked for of a channel's voxels: which box, at which mip, in which format."""

from __future__ import annotations

import math
from copy import copy
from functools import cache, partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bfly import registry
from bfly.geometry import BoundingBox, Zyx, ceil_div, zyx
from bfly.keywords import INPUT
from bfly.queries.query import Query
from bfly.validation import OneOf, Whole
from bfly.volumes.region import Region

if TYPE_CHECKING:
    from typing import Self

    from bfly.encoders.encoder import Encoder
    from bfly.validation import Allowed

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["MOST_HALVINGS", "CutoutQuery"]

MOST_HALVINGS = 31
"""The highest mip that a request may name; what a volume has is checked once it is known."""

FAR = 2**53
"""The highest coordinate: as far as the numbers of JSON are exact."""


@cache
def _encoder(name: str) -> Encoder:
    """Return the encoder of a format; it has no state, so one is enough."""
    encoder: Encoder = registry.load("encoders", name)()
    return encoder


class CutoutQuery(Query):
    """The base of `DataQuery`, where the words are explained: the box, and how it is answered."""

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
    def memory(self) -> int:
        """The most bytes that it takes to make the answer; known after `update_source`."""
        return self._memory(self.box.size * self.dtype.itemsize, self.nbytes)

    def memory_in_parts(self, most: int) -> int:
        """Return as `memory`, for an answer that is written in parts of so many bytes at most."""
        return self._memory(most, most, most)

    def _memory(self, voxels: int, copied: int, part: int | None = None) -> int:
        shown = {"view": self.view, "kind": self.shown_kind}
        encoding = self.encoder.memory(self.arranged_shape, self.dtype, part=part, **shown)
        copied = copied if self.sections > 1 or not self.plain else 0
        return voxels + copied + self.chunk_bytes + encoding

    @property
    def arranged_shape(self) -> Zyx:
        """The extent of the answer as it is encoded: sections, rows and columns of the plane."""
        return zyx(self.shape[axis] for axis in self.axes)

    @property
    def chunk_bytes(self) -> int:
        """The bytes of what is read at once, which may be far more than is asked for."""
        level = self.volume.level(self.resolution)
        shape = (
            min(count * side, most)
            for count, side, most in zip(level.per_unit, level.tile, level.whole.shape, strict=True)
        )
        return math.prod(shape) * self.dtype.itemsize

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
    def region(self) -> Region:
        """The voxels that are asked for; known after `update_source`."""
        return Region.of(self.volume, self.resolution, self.box, self.state)

    @property
    def whole(self) -> BoundingBox:
        """All voxels of the channel at the mip, as ``z`` to ``width`` count them."""
        return self.volume.level(self.resolution).place.refined((self.sections, 1, 1))

    def spread(self, voxels: Voxels) -> Voxels:
        """Give the sections that were asked for, from the voxels of `box`."""
        sections = self.sections
        if sections == 1:
            return voxels
        starts = (self.z // sections + np.arange(len(voxels))) * sections
        stops = np.minimum(starts + sections, self.z + self.depth)
        repeated: Voxels = voxels.repeat(stops - np.maximum(starts, self.z), axis=0)
        return repeated

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
        return _encoder(self.format)

    @property
    def mime_type(self) -> str:
        """The media type of the answer."""
        return self.encoder.media_type
