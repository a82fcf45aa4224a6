"""The base of requests for voxels: the box, the mip and the format."""

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
"""Highest mip that a request may name. The volume's own limit is checked once it is open."""

FAR = 2**53
"""Highest coordinate, in voxels: JSON numbers are exact up to it."""


@cache
def _encoder(name: str) -> Encoder:
    """Return the encoder of a format. Encoders hold no state, so one instance is enough."""
    encoder: Encoder = registry.load("encoders", name)()
    return encoder


class CutoutQuery(Query):
    """Base of `DataQuery`, which explains the keywords: the box, and the format of the answer."""

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
    """Axes of the voxels (0 to 2: z, y, x) that become sections, rows and columns of the answer."""

    plain = True
    """Whether the answer is exactly the voxels of `box`, in their order."""

    method = "data"
    z = y = x = 0
    depth = height = width = 1
    resolution = 0
    format = "png"
    view = "grayscale"

    @property
    def shape(self) -> Zyx:
        """Shape of the answer: depth, height, width."""
        return self.depth, self.height, self.width

    @property
    def nbytes(self) -> int:
        """Size of the requested voxels, in bytes; available after `update_source`."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def memory(self) -> int:
        """Most memory that the answer needs, in bytes; available after `update_source`."""
        return self._memory(self.box.size * self.dtype.itemsize, self.nbytes)

    def memory_in_parts(self, most: int) -> int:
        """Return `memory` for an answer that is written in parts of at most this many bytes."""
        return self._memory(most, most, most)

    def _memory(self, voxels: int, copied: int, part: int | None = None) -> int:
        shown = {"view": self.view, "kind": self.shown_kind}
        encoding = self.encoder.memory(self.arranged_shape, self.dtype, part=part, **shown)
        copied = copied if self.sections > 1 or not self.plain else 0
        return voxels + copied + self.chunk_bytes + encoding

    @property
    def arranged_shape(self) -> Zyx:
        """Shape of the answer as it is encoded: sections, rows and columns of the plane."""
        return zyx(self.shape[axis] for axis in self.axes)

    @property
    def chunk_bytes(self) -> int:
        """Bytes that are read at once, which may be far more than are requested."""
        level = self.volume.level(self.resolution)
        shape = (
            min(count * side, most)
            for count, side, most in zip(level.per_unit, level.tile, level.whole.shape, strict=True)
        )
        return math.prod(shape) * self.dtype.itemsize

    @property
    def start(self) -> Zyx:
        """First requested voxel, from the channel's first, in the units of ``z`` to ``x``."""
        (k, j, i), sections = self.off_zyx, self.sections
        return self.z - k * sections, self.y - j, self.x - i

    @property
    def chunk(self) -> Zyx:
        """Shape of the voxels that are read at once, in the units of ``depth`` to ``width``."""
        level, sections = self.volume.level(self.resolution), self.sections
        z, y, x = (n * t for n, t in zip(level.per_unit, level.tile, strict=True))
        return z * sections, y, x

    def slab(self, axis: int, start: int, count: int) -> Self:
        """Return the same request for a part of its voxels along an axis.

        Parameters
        ----------
        axis : int
            0, 1 or 2: z, y or x.
        start, count : int
            First index of the part, from the request's first voxel, and its length.
        """
        part = copy(self)
        for name in ("INPUT", "RUNTIME", "OUTPUT"):
            # These fields would still read and set the original request.
            part.__dict__.pop(name, None)
        setattr(part, "zyx"[axis], (self.z, self.y, self.x)[axis] + start)
        setattr(part, ("depth", "height", "width")[axis], count)
        return part

    @property
    def sections(self) -> int:
        """Sections, as ``z`` and ``depth`` count them, per section of the mip."""
        return self.factor[0]

    @property
    def box(self) -> BoundingBox:
        """Voxels of the mip that the request touches."""
        sections = self.sections
        stop = ceil_div(self.z + self.depth, sections), self.y + self.height, self.x + self.width
        return BoundingBox((self.z // sections, self.y, self.x), stop)

    @property
    def region(self) -> Region:
        """Requested voxels with the edits that apply; available after `update_source`."""
        return Region.of(self.volume, self.resolution, self.box, self.state)

    @property
    def whole(self) -> BoundingBox:
        """All voxels of the channel at the mip, in the units of ``z`` to ``width``."""
        return self.volume.level(self.resolution).place.refined((self.sections, 1, 1))

    def spread(self, voxels: Voxels) -> Voxels:
        """Return the requested sections: the voxels of `box`, repeated along z."""
        sections = self.sections
        if sections == 1:
            return voxels
        starts = (self.z // sections + np.arange(len(voxels))) * sections
        stops = np.minimum(starts + sections, self.z + self.depth)
        repeated: Voxels = voxels.repeat(stops - np.maximum(starts, self.z), axis=0)
        return repeated

    @property
    def tile_zyx(self) -> Zyx:
        """Shape of a tile at the mip; beyond the stored mips, that of the last one."""
        if not self.block_size:
            return self.volume.level(self.resolution).tile
        return zyx(self.block_size[min(self.resolution, len(self.block_size) - 1)])

    @property
    def off_zyx(self) -> Zyx:
        """Position of the channel's first voxel at the mip, rounded down."""
        if self.known_volume is not None:
            return self.known_volume.level(self.resolution).origin
        return zyx(a // f for a, f in zip(self.voxel_offset, self.factor, strict=True))

    @property
    def factor(self) -> Zyx:
        """Voxels of mip 0 per voxel; (1, 2^resolution, 2^resolution) before `update_source`."""
        if self.known_volume is not None:
            return self.known_volume.level(self.resolution).factor
        return 1, 1 << self.resolution, 1 << self.resolution

    def arranged(self, voxels: Voxels) -> Voxels:
        """Return the voxels in the order of encoding: sections, rows, columns."""
        return voxels

    @property
    def shown_kind(self) -> str:
        """Kind of volume as which the voxels are rendered: image or segmentation."""
        return self.volume.kind

    @property
    def encoder(self) -> Encoder:
        """Encoder of the format."""
        return _encoder(self.format)

    @property
    def mime_type(self) -> str:
        """Media type of the answer."""
        return self.encoder.media_type
