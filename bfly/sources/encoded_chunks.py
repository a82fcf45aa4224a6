"""How chunks are stored, where that is how they may be answered."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from bfly.sources.frames import is_blosc, is_gzip, is_zstd, unpacks_as_zlib

if TYPE_CHECKING:
    from bfly.geometry import Zyx

__all__ = ["StoredAs", "Check", "StoredForms", "packed_by"]


class StoredAs(NamedTuple):
    """A way in which chunks are stored.

    Parameters
    ----------
    format : str
        The name of an encoder: the stored bytes, or what they unpack to, are the chunk in it.
    coding : str
        How that is packed, as HTTP names content codings; "" if it is not.
    """

    format: str
    coding: str


Check = Callable[[bytes, "Zyx"], bytes | None]
"""Takes the file of a chunk and the shape (z, y, x) of what of it is inside the volume, and gives
the part of the file that is those voxels and no others; None if it does not vouch for that."""


StoredForms = Mapping[StoredAs, Check]
"""The ways in which the chunks of an array are stored, the best first, each chunk in a file of its
own; none where they are no answers."""


def packed_by(compressor: str, itemsize: int) -> StoredForms:
    """Give the ways in which voxels are stored that lie in C order, little-endian, packed once.

    Parameters
    ----------
    compressor : str
        By its name in `COMPRESSORS`; of any other there are none.
    itemsize : int
        Bytes of a voxel.
    """
    if compressor not in COMPRESSORS:
        return {}
    is_whole, ways = COMPRESSORS[compressor]

    def vouched(data: bytes, shape: Zyx) -> bytes | None:
        return data if is_whole(data, math.prod(shape) * itemsize) else None

    return dict.fromkeys(ways, vouched)


def _is_raw(data: bytes, nbytes: int) -> bool:
    return len(data) == nbytes


COMPRESSORS: dict[str, tuple[Callable[[bytes, int], bool], tuple[StoredAs, ...]]] = {
    "raw": (_is_raw, (StoredAs("raw", ""),)),
    "gzip": (is_gzip, (StoredAs("raw", "gzip"),)),
    "zlib": (unpacks_as_zlib, (StoredAs("raw", "deflate"),)),
    "zstd": (is_zstd, (StoredAs("zstd", ""), StoredAs("raw", "zstd"))),
    # A frame says itself how it is packed: no decoder asks the metadata.
    "blosc": (is_blosc, (StoredAs("blosc", ""),)),
}
"""What vouches for data, and the ways in which they are stored."""
