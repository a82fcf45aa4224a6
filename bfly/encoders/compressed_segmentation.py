"""Neuroglancer's compressed_segmentation: labels in blocks, each with a table of ids.

The format: ``src/sliceview/compressed_segmentation/README.md`` in the Neuroglancer repository.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import compressed_segmentation
import numpy as np
from typing_extensions import override

from bfly.encoders.encoder import Encoder, in_order
from bfly.encoders.strips import strips, trimmed
from bfly.encoders.unsigned import as_unsigned, unsigned
from bfly.errors import BadRequest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.geometry import Zyx

    Words = NDArray[np.uint32]

__all__ = ["BLOCK", "CompressedSegmentation"]

BLOCK = (8, 8, 8)
"""Shape of a block, in voxels, as Neuroglancer itself writes it."""

TOGETHER = 4096
"""Blocks per call of the library: bounds its memory, which grows by doubling and is copied."""

ADDRESSED = 2**24
"""32-bit words in which all tables of a file have to start: offsets of tables have 24 bits."""

SMALL = 64 << 20
"""Bytes up to which a file may be larger than the voxels. That of a thin cutout is, since blocks
are stored whole."""


class CompressedSegmentation(Encoder):
    """A file with one channel of uint32 or uint64 labels.

    Labels of int32 and int64 are written with their values; the format has no negative ones.
    """

    media_type = "application/octet-stream"

    def encode(
        self, voxels: NDArray[Any], *, view: str = "grayscale", kind: str = "image"
    ) -> bytes | memoryview:
        """Compress labels (z, y, x); see `Encoder.encode`."""
        self.check(voxels.shape, voxels.dtype)
        voxels = as_unsigned(voxels, "compressed_segmentation")
        grid = _grid(voxels.shape)
        if math.prod(grid) <= TOGETHER:
            return _packed(voxels)
        return _in_strips(voxels, grid)

    @override
    def check(
        self, shape: Zyx, dtype: np.dtype[Any], *, view: str = "grayscale", kind: str = "image"
    ) -> None:
        if unsigned(dtype) not in (np.uint32, np.uint64):
            raise BadRequest(
                f"The voxels are {dtype}; compressed_segmentation holds uint32 and uint64."
            )
        blocks = math.prod(_grid(shape))
        if 2 * blocks > ADDRESSED:
            raise BadRequest(
                f"The cutout of {shape} voxels (depth, height, width) has {blocks} blocks; "
                f"compressed_segmentation holds at most {ADDRESSED // 2}."
            )

    @override
    def memory(
        self,
        shape: Zyx,
        dtype: np.dtype[Any],
        *,
        view: str = "grayscale",
        kind: str = "image",
        part: int | None = None,
    ) -> int:
        blocks = math.prod(_grid(shape))
        work = 3 * _worst(dtype) * min(blocks, TOGETHER)
        return work + (_largest(shape, dtype) if blocks > TOGETHER else 0)


def _grid(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the number of blocks along each axis."""
    return tuple(-(-n // b) for n, b in zip(shape, BLOCK, strict=True))


def _worst(dtype: np.dtype[Any]) -> int:
    """Return the largest size of a block in bytes: header, and 16 bits and an id per voxel."""
    return 8 + math.prod(BLOCK) * (2 + dtype.itemsize)


def _largest(shape: Zyx, dtype: np.dtype[Any]) -> int:
    """Return the largest size of a file in bytes."""
    worst = 4 + math.prod(_grid(shape)) * _worst(dtype)
    return max(math.prod(shape) * dtype.itemsize, min(worst, SMALL))


def _packed(voxels: NDArray[Any]) -> bytes:
    labels = in_order(voxels)
    if not labels.flags.writeable:
        # The library requires a writable array, though it does not write; cached tiles are not.
        labels = labels.copy()
    try:
        return bytes(compressed_segmentation.compress(labels.T, BLOCK, order="F"))
    except OverflowError as error:
        raise _too_varied(voxels) from error


def _in_strips(voxels: NDArray[Any], grid: tuple[int, ...]) -> bytes | memoryview:
    """Compress strips of blocks and join them: all headers first, with offsets in the file."""
    file = np.empty(_largest(voxels.shape, voxels.dtype) // 4, "<u4")
    file[0] = 1  # offset of the only channel
    channel = file[1:]
    begun, size = 0, 2 * math.prod(grid)
    for box in strips(grid, TOGETHER):
        place = tuple(slice(8 * along.start, 8 * along.stop) for along in box)
        headers = 2 * math.prod(along.stop - along.start for along in box)
        packed = np.frombuffer(_packed(voxels[place]), "<u4")[1:]
        tables, values = packed[:headers:2], packed[1:headers:2]
        moved, content = size - headers, packed[headers:]
        if size + len(content) > len(channel) or (tables % ADDRESSED).max() + moved >= ADDRESSED:
            raise _too_varied(voxels)
        channel[begun : begun + headers : 2] = tables + moved  # the high 8 bits hold bits/voxel
        channel[begun + 1 : begun + headers : 2] = values + moved
        channel[size : size + len(content)] = content
        begun, size = begun + headers, size + len(content)
    return trimmed(file.view(np.uint8).data, 4 * (1 + size))


def _too_varied(voxels: NDArray[Any]) -> BadRequest:
    return BadRequest(
        f"The cutout of {voxels.shape} voxels (depth, height, width) is too large and varied for "
        "compressed_segmentation."
    )
