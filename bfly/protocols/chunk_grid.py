"""What protocols that serve a volume as files share: documents, and blocks on a grid.

Zarr and N5 are folders: JSON documents that describe arrays, one array a mip, and a file for
each block of an array. Nothing of it exists on disk here; a path is read as what it asks for.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

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
    "DocumentQuery",
    "ChunkGrid",
    "block_shape",
    "centre",
]

BLOCK: Zyx = (64, 64, 64)
"""What clients are told to ask for, unless the tiles suggest something near it."""

BLOCK_BYTES = (64 << 10, 2 << 20)
"""The sizes between which a tile or chunk is offered as it is, if it is anything like a cube."""

NUMBER = "(?:0|[1-9][0-9]{0,17})"
"""A pattern for an index in a file's name, which is written in one way only."""


def block_shape(volume: Volume, mip: int) -> Zyx:
    """Choose the blocks (zyx) to offer: the tiles, where they are blocks of a usual size.

    A chunk that may be sent as it is stored is offered whole, even if it is several tiles.
    """
    level = volume.level(mip)
    is_sent = level.stored == mip and volume.source.stored_as(mip)
    block = level.scale.chunk if is_sent else level.tile
    nbytes = math.prod(block) * volume.dtype.itemsize
    if max(block) <= 4 * min(block) and BLOCK_BYTES[0] <= nbytes <= BLOCK_BYTES[1]:
        return block
    return BLOCK


def centre(volume: Volume, mip: int) -> tuple[float, float, float]:
    """Give the centre of the first voxel of a mip in nanometres, zyx.

    They are counted from the corner of the dataset's first voxel, as precomputed counts them.
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
        Its path below the channel.
    **keywords
        Those of `InfoQuery`.
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
            There is none at the path.
        """
        documents = self.documents
        if self._file not in documents:
            raise Absent(f"There is no {self._file}; there are {sorted(documents)} and blocks.")
        return documents[self._file]


class BlockQuery(BoxQuery):
    """A request for a block.

    Blocks have the same shape at every mip, which is more than the formats ask for but what
    CloudVolume's reader of zarr takes for granted.

    Parameters
    ----------
    index : tuple of int
        Its position zyx, counted in blocks from the volume's first voxel.
    cropped : bool
        Whether blocks end with the volume; otherwise they are whole, with zeros beyond.
    **keywords
        Those of `BoxQuery`, ``z`` to ``width`` left out.
    """

    def __init__(self, index: Zyx, cropped: bool, **keywords: Any) -> None:
        super().__init__(**keywords)
        self._index = index
        self._cropped = cropped

    @override
    def update_source(self, keywords: Mapping[str, Any]) -> None:
        """Learn what the source is like, and so which box the block is.

        Raises
        ------
        Absent
            There is no such mip, or the block lies outside the volume.
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
    """Base of the protocols: ``/{prefix}/{experiment::sample::dataset}/{channel}/{file}``."""

    document: ClassVar[type[DocumentQuery]]
    """What a request for anything but a block is."""

    block: ClassVar[re.Pattern[str]]
    """The path of a block, with the groups mip, z, y and x."""

    format: ClassVar[str]
    """The encoder of blocks."""

    cropped: ClassVar[bool] = False
    """Whether blocks end with the volume."""

    @override
    def query(self, path: str, parameters: Mapping[str, str]) -> DataQuery | InfoQuery:
        if path.count("/") < 2:
            # Clients look for documents in the folders above too.
            raise Absent(f"There is no {path}, only experiment::sample::dataset/channel/….")
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
