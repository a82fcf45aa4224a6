"""Base of the protocols that serve a volume as files: JSON documents and blocks on a grid.

A Zarr or N5 volume is a folder with JSON documents that describe arrays, one array per mip, and a
file for each block. Here the files are virtual: each path is parsed into a query.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from bfly.config.addresses import FORM
from bfly.errors import Absent
from bfly.geometry import BoundingBox, zyx
from bfly.protocols.protocol import Protocol, by_token, channel_words
from bfly.queries.cutout import MOST_HALVINGS
from bfly.queries.data import BoxQuery, DataQuery
from bfly.queries.info import InfoQuery

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping

    from bfly.geometry import Zyx
    from bfly.volumes.volume import Volume

__all__ = [
    "NUMBER",
    "BlockQuery",
    "ChunkGrid",
    "DocumentQuery",
    "block_shape",
    "centre",
]

BLOCK: Zyx = (64, 64, 64)
"""Shape of blocks (zyx, voxels) if the tiles have no suitable shape."""

BLOCK_BYTES = (64 << 10, 2 << 20)
"""Lowest and highest size in bytes of a roughly cubic tile or chunk that is used as a block."""

NUMBER = "(?:0|[1-9][0-9]{0,17})"
"""Pattern of an index in a file's name. Leading zeros are not allowed: each block has one name."""


def block_shape(volume: Volume, mip: int) -> Zyx:
    """Return the shape of blocks (zyx): that of the tiles, if their size is suitable.

    For a chunk that passes through as stored it is the chunk, even if that is several tiles.
    """
    level = volume.level(mip)
    is_sent = level.stored == mip and volume.source.stored_as(mip)
    block = level.scale.chunk if is_sent else level.tile
    nbytes = math.prod(block) * volume.dtype.itemsize
    if max(block) <= 4 * min(block) and BLOCK_BYTES[0] <= nbytes <= BLOCK_BYTES[1]:
        return block
    return BLOCK


def centre(volume: Volume, mip: int) -> tuple[float, float, float]:
    """Return the centre of the first voxel of a mip in nanometres, zyx.

    If the voxel size is unknown, the unit is a voxel of mip 0.
    The origin is the corner of the dataset's first voxel, as in precomputed.
    """
    z, y, x = (
        (first + 0.5) * size
        for first, size in zip(volume.level(mip).origin, volume.voxel_size_at(mip), strict=True)
    )
    return z, y, x


class DocumentQuery(InfoQuery):
    """A request for a JSON document.

    Parameters
    ----------
    file : str
        Path below the channel.
    **keywords
        Keywords of `InfoQuery`.
    """

    def __init__(self, file: str, **keywords: Any) -> None:
        super().__init__(**keywords)
        self._file = file

    @property
    @abstractmethod
    def documents(self) -> dict[str, Any]:
        """All documents of the volume, by path."""

    @property
    @override
    def result(self) -> Any:
        """The document.

        Raises
        ------
        Absent
            There is no document at the path.
        """
        documents = self.documents
        if self._file not in documents:
            raise Absent(f"There is no {self._file}; there are {sorted(documents)} and blocks.")
        return documents[self._file]


class BlockQuery(BoxQuery):
    """A request for a block.

    Blocks have the same shape at every mip. The formats do not require this, but CloudVolume's
    zarr reader assumes it.

    Parameters
    ----------
    index : tuple of int
        Position zyx, in blocks from the volume's first voxel.
    cropped : bool
        Whether blocks are cropped to the volume; otherwise they are padded with zeros.
    **keywords
        Keywords of `BoxQuery`, without ``z`` to ``width``.
    """

    def __init__(self, index: Zyx, cropped: bool, **keywords: Any) -> None:
        super().__init__(**keywords)
        self._index = index
        self._cropped = cropped

    @override
    def update_source(self, keywords: Mapping[str, Any]) -> None:
        """Set the metadata of the source, and compute the box of the block.

        Raises
        ------
        Absent
            There is no such mip, or the block is outside the volume.
        """
        super().update_source(keywords)
        volume, mip = self.volume, self.resolution
        level = volume.level(mip)
        box = BoundingBox.of_shape((1, 1, 1), self._index).refined(block_shape(volume, 0))
        inside = box & level.whole
        if mip >= volume.levels or not inside.size:
            raise Absent(f"There is no block {self._index} (zyx) at mip {mip}.")
        box = (inside if self._cropped else box).shift(level.origin)
        self.z, self.y, self.x = box.start
        self.depth, self.height, self.width = box.shape


class ChunkGrid(Protocol):
    """Base of the protocols: ``/{prefix}/{address}/{file}``."""

    document: ClassVar[type[DocumentQuery]]
    """Query of every path that is not a block's."""

    block: ClassVar[re.Pattern[str]]
    """Pattern of a block's path, with the groups mip, z, y and x."""

    format: ClassVar[str]
    """Name of the encoder of blocks."""

    cropped: ClassVar[bool] = False
    """Whether blocks are cropped to the volume."""

    @override
    def query(self, path: str, parameters: Mapping[str, str]) -> DataQuery | InfoQuery:
        # Clients probe the parent folders for documents too.
        if self.config.addresses.former(path).count("/") < 2:
            raise Absent(f"There is no {path}, only {FORM}/….")
        channel, file = by_token(self.config, path)
        words = channel_words(channel)
        block = self.block.fullmatch(file)
        if block is None or int(block["mip"]) > MOST_HALVINGS:
            return self.document(file, name=channel.name, **words)
        return BlockQuery(
            zyx(int(block[axis]) for axis in "zyx"),
            self.cropped,
            resolution=int(block["mip"]),
            format=self.format,
            **words,
        )
