"""How the blocks of N5 are packed, where they are answers: https://github.com/saalfeldlab/n5."""

from __future__ import annotations

import struct
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.sources.encoded_chunks import StoredAs, packed_by

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.geometry import Zyx
    from bfly.sources.encoded_chunks import Check, StoredForms

__all__ = ["header_size", "ways_of"]

HEADER = struct.Struct(">HHIII")
"""Mode (0: as many voxels as the shape says), axes, width, height, depth."""


GZIP = StoredAs("raw", "gzip")


def header_size(rank: int) -> int:
    """Return the bytes of the header of a block with so many axes."""
    return 4 + 4 * rank


def ways_of(attributes: Mapping[str, Any]) -> StoredForms:
    """Give the ways in which the blocks of a dataset with the axes x, y and z are stored.

    Parameters
    ----------
    attributes : mapping
        Its ``attributes.json``.

    Returns
    -------
    mapping
        A block in gzip is one of Butterfly's own N5 dialect, which states no other compressor.
        Without its header, what a block unpacks to are the voxels as served if they are of one
        byte; of more bytes they are big-endian.
    """
    try:
        compression = attributes["compression"]
        itemsize = np.dtype(attributes["dataType"]).itemsize
        packed = packed_by("zlib" if compression.get("useZlib") else compression["type"], itemsize)
    except (KeyError, TypeError, AttributeError):
        # What is wrong here TensorStore says better.
        return {}
    ways: dict[StoredAs, Check] = {}
    if GZIP in packed:
        ways[StoredAs("n5", "")] = partial(_block, packed[GZIP])
    if itemsize == 1:
        ways |= {way: partial(_voxels, vouched) for way, vouched in packed.items()}
    return ways


def _voxels(vouched: Check, data: bytes, shape: Zyx) -> bytes | None:
    """Give what stands behind the header of a block of that shape."""
    size = HEADER.size
    if len(data) < size or HEADER.unpack_from(data) != (0, 3, *shape[::-1]):
        return None
    return vouched(data[size:], shape)


def _block(vouched: Check, data: bytes, shape: Zyx) -> bytes | None:
    """Give a block with its header."""
    return None if _voxels(vouched, data, shape) is None else data
