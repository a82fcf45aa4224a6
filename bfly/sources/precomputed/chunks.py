"""Chunks of precomputed volumes that are served without decoding.

The format: ``src/datasource/precomputed/volume.md`` and, for labels,
``src/sliceview/compressed_segmentation/README.md`` in the Neuroglancer repository.
"""

from __future__ import annotations

import itertools
import math
import re
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
from isal import isal_zlib

from bfly.geometry import ceil_div
from bfly.sources.encoded_chunks import StoredAs, packed_by
from bfly.sources.shared.images import is_grey_jpeg

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from bfly.geometry import Zyx
    from bfly.sources.encoded_chunks import Check, StoredForms

__all__ = ["ways_of"]

BLOCK = [8, 8, 8]
"""Block shape in voxels of compressed_segmentation as Butterfly serves it."""

PNG = b"\x89PNG\r\n\x1a\n"


def ways_of(info: Mapping[str, Any], scale: Mapping[str, Any]) -> StoredForms:
    """Return the stored forms of the chunks of a scale, if each chunk has its own file.

    Parameters
    ----------
    info, scale : mapping
        The ``info``, and one of its scales.
    """
    dtype = info["data_type"]
    match scale["encoding"], dtype:
        case "raw", str() if size := re.fullmatch("(?:u?int|float)([0-9]+)", dtype):
            return packed_by("raw", int(size[1]) // 8)
        case "jpeg", "uint8":
            return {StoredAs("jpeg", ""): _jpeg}
        case "png", "uint8" | "uint16":
            return {StoredAs("png", ""): _vouched(_is_grey_png, dtype)}
        case "compressed_segmentation", "uint32" | "uint64":
            if scale["compressed_segmentation_block_size"] == BLOCK:
                return {StoredAs("compressed_segmentation", ""): _vouched(_is_labels, dtype)}
    return {}


def _jpeg(data: bytes, shape: Zyx) -> bytes | None:
    depth, height, width = shape
    return data if is_grey_jpeg(data, (depth * height, width)) else None


def _vouched(is_whole: Callable[[bytes, Zyx, int], bool], dtype: str) -> Check:
    itemsize = np.dtype(dtype).itemsize
    return lambda data, shape: data if is_whole(data, shape, itemsize) else None


def _is_grey_png(data: bytes, shape: Zyx, itemsize: int) -> bool:
    """Return whether a file is a greyscale PNG with no other chunks and valid checksums.

    Other PNG chunks, such as gamma, may change how a client displays the values.
    """
    depth, height, width = shape
    head = struct.pack(">IIBBBBB", width, depth * height, 8 * itemsize, 0, 0, 0, 0)
    parts, at = [], len(PNG)
    while data.startswith(PNG) and at + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        stop = at + 8 + size
        if int.from_bytes(data[stop : stop + 4], "big") != isal_zlib.crc32(data[at + 4 : stop]):
            return False
        parts.append(data[at + 4 : at + 8])
        at = stop + 4
    kinds = [kind for kind, _ in itertools.groupby(parts)]
    return kinds == [b"IHDR", b"IDAT", b"IEND"] and data[16:29] == head and at == len(data)


def _is_labels(data: bytes, shape: Zyx, itemsize: int) -> bool:
    """Return whether the data contain the ids that the voxels of all blocks refer to.

    The format does not state the length of its id tables, so a truncated one is not obvious.
    """
    words = np.frombuffer(data[: len(data) & ~3], "<u4")
    blocks = math.prod(ceil_div(n, side) for n, side in zip(shape, BLOCK, strict=True))
    if len(words) != len(data) / 4 or len(words) <= 2 * blocks or words[0] != 1:
        return False
    words = words[1:]
    heads = words[: 2 * blocks].reshape(-1, 2).astype(np.int64)
    tables, widths, starts = heads[:, 0] & 0xFFFFFF, heads[:, 0] >> 24, heads[:, 1]
    for bits in np.unique(widths):
        same = widths == bits
        last = _largest_indexes(words, starts[same], int(bits))
        if last is None or (tables[same] + (last + 1) * (itemsize // 4)).max() > len(words):
            return False
    return True


def _largest_indexes(words: NDArray[Any], starts: NDArray[Any], bits: int) -> Any:
    """Return the maximum of the 512 indexes, of `bits` bits each, at each of `starts`.

    Return None if the data end too early, or if the format has no such width.
    """
    if bits == 0:
        return 0
    size = 512 * bits // 32
    if bits not in (1, 2, 4, 8, 16, 32) or starts.max() + size > len(words):
        return None
    packed = words[starts[:, np.newaxis] + np.arange(size)]
    if bits >= 8:
        return packed.view(f"<u{bits // 8}").max(axis=1).astype(np.int64)
    octets = packed.view(np.uint8)
    shifted = [(octets >> shift & (1 << bits) - 1).max(axis=1) for shift in range(0, 8, bits)]
    return np.max(shifted, axis=0).astype(np.int64)
