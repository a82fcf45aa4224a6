"""Stored forms of chunks that can be served without decoding."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from bfly.sources.frames import is_blosc, is_gzip, is_zstd, unpacks_as_zlib

if TYPE_CHECKING:
    from bfly.geometry import Zyx

__all__ = ["StoredAs", "Check", "StoredForms", "packed_by"]


class StoredAs(NamedTuple):
    """A form in which chunks are stored.

    Parameters
    ----------
    format : str
        Name of an encoder. The stored bytes, once `coding` is decoded, are its format.
    coding : str
        Compression of the stored bytes, as HTTP names content codings; "" for none.
    """

    format: str
    coding: str


Check = Callable[[bytes, "Zyx"], bytes | None]
"""Takes the file of a chunk and the shape (z, y, x) of its part inside the volume. Returns the
bytes of the file that are exactly those voxels; None if that is not certain."""


StoredForms = Mapping[StoredAs, Check]
"""Forms in which the chunks of an array are stored, the best first, one file per chunk. Empty if
stored chunks cannot be served."""


def packed_by(compressor: str, itemsize: int) -> StoredForms:
    """Return the stored forms of voxels in C order, little-endian, compressed once.

    Parameters
    ----------
    compressor : str
        Name in `COMPRESSORS`; any other has no forms.
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
    # A frame states its own compression: no decoder needs the metadata.
    "blosc": (is_blosc, (StoredAs("blosc", ""),)),
}
"""By compressor: the check that data are complete, and their stored forms."""
