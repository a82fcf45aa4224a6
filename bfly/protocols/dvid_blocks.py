"""Blocks of voxels, and labels at points, as DVID's clients ask for them."""

from __future__ import annotations

import json
import struct
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from bfly.encoders.dvid_block import dvid_block
from bfly.encoders.gzip import Gzip
from bfly.encoders.jpeg import Jpeg
from bfly.encoders.lz4 import Lz4
from bfly.encoders.raw import Raw
from bfly.errors import BadRequest
from bfly.geometry import BoundingBox
from bfly.protocols.dvid_instances import SIDE, check_scale, sent_dtype
from bfly.protocols.dvid_voxels import as_sent
from bfly.queries.pieces import PiecesQuery

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bfly.geometry import Zyx
    from bfly.queries.data import DataQuery

    Voxels = np.ndarray[Any, np.dtype[Any]]
    Read = Callable[[DataQuery], Voxels]

__all__ = ["BlocksQuery", "PointsQuery", "SpanQuery"]

BLOCKS: Mapping[str, Mapping[str, Any]] = {
    "image": {"": Jpeg, "jpeg": Jpeg, "uncompressed": Raw},
    "segmentation": {"": Lz4, "lz4": Lz4, "gzip": Gzip, "uncompressed": Raw, "blocks": None},
}
"""Encoders of blocks, by kind and compression; None is DVID's own, in gzip."""


class _Scaled(PiecesQuery):
    """Base of requests for pieces of one scale."""

    @override
    def update_source(self, keywords: Mapping[str, Any]) -> None:
        super().update_source(keywords)
        check_scale(self.volume, self.resolution)
        self.sent = sent_dtype(self.volume)

    def block(self, index: Zyx, read: Read) -> Voxels | None:
        """Return a block in the dtype that is sent; None if it is outside the volume."""
        box = BoundingBox.of_shape((1, 1, 1), index).refined((SIDE,) * 3)
        if not (box & self.volume.level(self.resolution).place).size:
            return None
        return as_sent(read(self.part(self.resolution, box)), self.sent, self.path)


class BlocksQuery(_Scaled):
    """A request for blocks, each with its place and its length before it.

    Parameters
    ----------
    blocks : sequence of Zyx
        Places of blocks, in blocks from voxel 0. Those outside the volume are left out.
    compression : str
        How a block is written, or "" for the usual way.
    **keywords
        Keywords of `PiecesQuery`.
    """

    def __init__(self, blocks: Sequence[Zyx], compression: str = "", **keywords: Any) -> None:
        super().__init__(count=SIDE**3 * len(blocks), **keywords)
        self._blocks, self._compression = blocks, compression

    @override
    def update_source(self, keywords: Mapping[str, Any]) -> None:
        """Set the metadata of the source.

        Raises
        ------
        Absent
            As `VolumeQuery.update_source`.
        BadRequest
            There is no such compression, or no JPEG of the voxels.
        """
        super().update_source(keywords)
        allowed, kind = BLOCKS[self.volume.kind], self.volume.kind
        if self._compression not in allowed:
            names = [name for name in allowed if name]
            raise BadRequest(f"The compression {self._compression} of {kind}s is not in {names}.")
        self._encoder = allowed[self._compression]
        if self._encoder is Jpeg and self.sent != "uint8":
            raise BadRequest(f"There is no jpeg of {self.sent}: compression=uncompressed has it.")

    @override
    def answer(self, read: Read) -> bytes:
        found = []
        for index in self._blocks:
            if (block := self.block(index, read)) is not None:
                data = self._written(block)
                found += [struct.pack("<3iI", *index[::-1], len(data)), data]
        return b"".join(found)

    def _written(self, block: Voxels) -> bytes | memoryview:
        if self._encoder is None:
            return _gzipped(dvid_block(block))
        data: bytes | memoryview = _made(self._encoder).encode(block, kind=self.volume.kind)
        return data


class SpanQuery(_Scaled):
    """A request for blocks of an image along x, one after the other, without compression.

    Parameters
    ----------
    first : Zyx
        Place of the first block.
    blocks : int
        How many there are; those outside the volume are 0.
    **keywords
        Keywords of `PiecesQuery`.
    """

    def __init__(self, first: Zyx, blocks: int, **keywords: Any) -> None:
        super().__init__(count=SIDE**3 * blocks, **keywords)
        self._first, self._blocks = first, blocks

    @override
    def answer(self, read: Read) -> bytes:
        z, y, x = self._first
        blank = np.zeros((SIDE,) * 3, self.sent)
        blocks = (self.block((z, y, x + along), read) for along in range(self._blocks))
        return b"".join((blank if block is None else block).tobytes() for block in blocks)


class PointsQuery(_Scaled):
    """A request for the labels at points; 0 outside the volume.

    Parameters
    ----------
    points : sequence of Zyx
        Voxels of the scale.
    one : bool
        Whether the answer is ``{"Label": …}``, or a list.
    **keywords
        Keywords of `PiecesQuery`.
    """

    mime_type = "application/json"

    def __init__(self, points: Sequence[Zyx], one: bool = False, **keywords: Any) -> None:
        super().__init__(count=len(points), **keywords)
        self._points, self._one = points, one

    @override
    def update_source(self, keywords: Mapping[str, Any]) -> None:
        """Set the metadata of the source; an image is a `BadRequest`."""
        super().update_source(keywords)
        if self.volume.kind != "segmentation":
            raise BadRequest(f"{self.path} is an image; only a segmentation has labels.")

    @override
    def answer(self, read: Read) -> bytes:
        # In the order of their tiles, so that each tile is read once however small the cache is.
        tile = self.volume.level(self.resolution).tile
        order = sorted(
            range(len(self._points)),
            key=lambda n: [at // side for at, side in zip(self._points[n], tile, strict=True)],
        )
        labels = [0] * len(self._points)
        for number in order:
            box = BoundingBox.of_shape((1, 1, 1), self._points[number])
            voxels = as_sent(read(self.part(self.resolution, box)), self.sent, self.path)
            labels[number] = int(voxels[0, 0, 0])
        return json.dumps({"Label": labels[0]} if self._one else labels).encode()


@cache
def _made(encoder: type[Any]) -> Any:
    return encoder()


def _gzipped(data: bytes) -> bytes:
    return b"".join(_made(Gzip).encode_parts(iter([np.frombuffer(data, np.uint8)]), (1, 1, 1)))
