"""N5 blocks that are served without decoding: https://github.com/saalfeldlab/n5."""

from __future__ import annotations

import struct
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.sources.encoded_chunks import StoredAs, packed_by
from bfly.sources.voxel_types import is_converted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.geometry import Zyx
    from bfly.sources.encoded_chunks import Check, StoredForms

__all__ = ["header_size", "ways_of"]

HEADER = struct.Struct(">HHIII")
"""Mode (0: the shape states the number of voxels), axes, width, height, depth."""

GZIP = StoredAs("raw", "gzip")


def header_size(rank: int) -> int:
    """Return the size in bytes of the header of a block with `rank` axes."""
    return 4 + 4 * rank


def ways_of(attributes: Mapping[str, Any]) -> StoredForms:
    """Return the stored forms of the blocks of a dataset with the axes x, y and z.

    Parameters
    ----------
    attributes : mapping
        Its ``attributes.json``.

    Returns
    -------
    mapping
        A block in gzip is also valid in Butterfly's own N5 output, which states gzip only. The
        data after the header decompress to the voxels as served if a voxel is one byte. Larger
        voxels are big-endian.
    """
    try:
        compression = attributes["compression"]
        dtype = np.dtype(attributes["dataType"])
        itemsize = dtype.itemsize
        packed = packed_by("zlib" if compression.get("useZlib") else compression["type"], itemsize)
    except (KeyError, TypeError, AttributeError):
        # TensorStore raises a clearer error for bad attributes.
        return {}
    ways: dict[StoredAs, Check] = {}
    if is_converted(dtype):
        return ways
    if GZIP in packed:
        ways[StoredAs("n5", "")] = partial(_block, packed[GZIP])
    if itemsize == 1:
        ways |= {way: partial(_voxels, vouched) for way, vouched in packed.items()}
    return ways


def _voxels(vouched: Check, data: bytes, shape: Zyx) -> bytes | None:
    """Return the data after the header of a block; None unless it has that shape."""
    size = HEADER.size
    if len(data) < size or HEADER.unpack_from(data) != (0, 3, *shape[::-1]):
        return None
    return vouched(data[size:], shape)


def _block(vouched: Check, data: bytes, shape: Zyx) -> bytes | None:
    """Return a block with its header; None unless it has that shape."""
    return None if _voxels(vouched, data, shape) is None else data
