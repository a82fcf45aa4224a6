"""The chunks of an HDF5 dataset: their positions in the file, and their decoding.

Filters, their numbers and their effects: HDF5 File Format Specification 3.0 and the registry
of filters, both by The HDF Group.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from enum import IntEnum
from itertools import product
from typing import TYPE_CHECKING

import imagecodecs
import numpy as np

from bfly.geometry import ceil_div

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from bfly.geometry import Zyx
    from bfly.sources.hdf5.view import View

__all__ = ["PIPELINES", "ChunkIndex", "Filter", "is_zlib", "undo"]


class Filter(IntEnum):
    """Filters that are decoded here, by their registered numbers."""

    DEFLATE = 1
    SHUFFLE = 2
    FLETCHER32 = 3
    LZF = 32000


PIPELINES = {
    tuple(number for number in pipeline if number)
    for pipeline in product(
        (None, Filter.SHUFFLE), (None, Filter.DEFLATE, Filter.LZF), (None, Filter.FLETCHER32)
    )
}
"""Filter orders that are decoded here. Every writer uses one of them."""


def undo(filters: Sequence[int], raw: bytes, mask: int, itemsize: int, nbytes: int) -> Any:
    """Reverse the filters of a chunk, the last one first.

    Parameters
    ----------
    filters : sequence of int
        One of `PIPELINES`.
    raw : bytes
        The chunk as stored.
    mask : int
        A set bit marks a filter, by its position, that was skipped for this chunk.
    itemsize, nbytes : int
        Bytes of a voxel and of the decoded chunk.

    Returns
    -------
    buffer
        Bytes of the voxels.

    Raises
    ------
    ValueError, RuntimeError
        The chunk is damaged.
    """
    data: Any = raw
    for place in reversed(range(len(filters))):
        if mask >> place & 1:
            continue
        match filters[place]:
            case Filter.FLETCHER32:
                data = _checked(data)
            case Filter.DEFLATE:
                data = imagecodecs.deflate_decode(data, out=nbytes)
            case Filter.LZF:
                data = imagecodecs.lzf_decode(data, out=nbytes)
            case Filter.SHUFFLE:
                planes = np.frombuffer(data, np.uint8).reshape(itemsize, -1)
                data = np.ascontiguousarray(planes.T)
    return data


def is_zlib(data: bytes) -> bool:
    """Return whether data starts with a zlib header (RFC 1950, 2.2), without a dictionary."""
    start = int.from_bytes(data[:2], "big")
    return len(data) > 6 and start >> 8 & 15 == 8 and start % 31 == 0 and not start & 32


def _checked(data: Any) -> Any:
    """Verify the Fletcher-32 checksum at the end of a chunk and remove it."""
    body, stated = data[:-4], int.from_bytes(bytes(data[-4:]), "little")
    if imagecodecs.h5checksum_fletcher32(body) != stated:
        raise ValueError("its Fletcher-32 checksum is wrong")
    return body


class ChunkIndex:
    """File position of each chunk in a view of a dataset, looked up by bisection: 28 bytes each."""

    def __init__(self, dataset: Any, view: View) -> None:
        chunk = dataset.chunks
        self._grid = view.sides(tuple(map(ceil_div, dataset.shape, chunk)))
        keys, offsets, sizes, masks = array("Q"), array("Q"), array("Q"), array("L")

        def note(info: Any) -> None:
            place = view.place_of(info.chunk_offset, chunk)
            if place is None:
                return
            keys.append(self._key(place))
            offsets.append(info.byte_offset)
            sizes.append(info.size)
            masks.append(info.filter_mask)

        dataset.id.chunk_iter(note)
        order = np.argsort(np.array(keys, np.uint64))
        self._keys, self._offsets, self._sizes, self._masks = (
            array(a.typecode, np.array(a, a.typecode)[order].tobytes())
            for a in (keys, offsets, sizes, masks)
        )

    def _key(self, position: Zyx) -> int:
        z, y, x = position
        return (z * self._grid[1] + y) * self._grid[2] + x

    def find(self, position: Zyx) -> tuple[int, int, int] | None:
        """Return (byte offset, size, filter mask) of a chunk; None if it was never written."""
        key = self._key(position)
        i = bisect_left(self._keys, key)
        if i == len(self._keys) or self._keys[i] != key:
            return None
        return self._offsets[i], self._sizes[i], self._masks[i]
