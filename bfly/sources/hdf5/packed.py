"""Decompressed sizes of HDF5 chunks, checked before the HDF5 library decompresses them.

The library allocates as much memory as a filter requests, whatever the chunk shape. Chunks that
`bfly.sources.hdf5.chunks` decodes need no such check.
"""

from __future__ import annotations

import bz2
import math
from itertools import product
from typing import TYPE_CHECKING, Any

from bfly.errors import SourceError
from bfly.geometry import ceil_div
from bfly.sources.shared.inflate import ZLIB, pieces_of
from bfly.storage.limits import check_chunk, check_length

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["check_packed"]

MARGIN = 1 << 20
"""Bytes that filters may add to a chunk: headers, checksums, tables."""

CHUNKS = 1 << 20
"""Maximum number of chunks that one read checks."""

PIECE = 1 << 20
"""Bytes that are decompressed at a time."""


def check_packed(dataset: Any, path: str, limit: int, start: Any = None, stop: Any = None) -> None:
    """Raise `Oversized` if a chunk in a region of a dataset decompresses beyond the limit.

    Parameters
    ----------
    dataset : h5py.Dataset
        An open dataset.
    path : str
        The file, for messages.
    limit : int
        Maximum bytes of a chunk.
    start, stop : sequence of int, optional
        Corners of the region, in the dataset's axes; by default the whole dataset.
    """
    if dataset.chunks is None:
        return
    itemsize = dataset.id.get_type().get_size()
    check_chunk(path, "a chunk", dataset.chunks, itemsize, limit)
    plist = dataset.id.get_create_plist()
    filters = [_filter(*plist.get_filter(number)) for number in range(plist.get_nfilters())]
    most = min(limit, math.prod(dataset.chunks) * itemsize) + MARGIN
    if not filters or filters[-1] not in SIZES:
        return
    start = start or (0,) * dataset.ndim
    for offset in _offsets(dataset, start, stop or dataset.shape):
        try:
            info = dataset.id.get_chunk_info_by_coord(offset)
        except (OSError, RuntimeError, ValueError):
            continue
        if info.byte_offset is None or not info.size:
            continue
        check_length(f"{path}: a chunk of {dataset.name}", info.size, most)
        mask, packed = dataset.id.read_direct_chunk(offset)
        # Filters are reversed from the last one; the mask marks skipped filters.
        for number in reversed(range(len(filters))):
            if not mask >> number & 1:
                size = SIZES.get(filters[number])
                if size is not None:
                    check_length(f"{path}: a chunk of {dataset.name}", size(packed, most), most)
                if filters[number] not in SAME_SIZE:
                    break
                packed = packed[: len(packed) - SAME_SIZE[filters[number]]]


def _filter(number: int, _flags: int, options: tuple[int, ...], _name: bytes) -> int:
    """Return the number of a filter; Bitshuffle without compression counts as shuffle."""
    return SHUFFLE if number == BITSHUFFLE and not any(options[4:5]) else number


def _offsets(dataset: Any, start: Any, stop: Any) -> Iterable[tuple[int, ...]]:
    spans = [range(a // c * c, b, c) for a, b, c in zip(start, stop, dataset.chunks, strict=True)]
    count = math.prod(ceil_div(max(0, span.stop - span.start), span.step) for span in spans)
    if count > CHUNKS:
        raise SourceError(f"{dataset.name} has {count} chunks; allowed are {CHUNKS} at once.")
    return product(*spans)


def _zlib(data: bytes, most: int) -> int:
    size = 0
    for piece in pieces_of(data, ZLIB):
        size += len(piece)
        if size > most:
            break
    return size


def _bzip2(data: bytes, most: int) -> int:
    stream, size = bz2.BZ2Decompressor(), 0
    try:
        while not stream.eof and size <= most:
            piece = stream.decompress(data, PIECE)
            data, size = b"", size + len(piece)
            if not piece and stream.needs_input:
                break
    except (OSError, ValueError, EOFError):
        pass
    return size


def _zstd(data: bytes, _most: int) -> int:
    """Read the size in a frame header (RFC 8878, 3.1.1); 0 if it states none."""
    if len(data) < 6 or not data.startswith(b"\x28\xb5\x2f\xfd"):
        return 0
    flags = data[4]
    is_single, dictionary = flags & 32, (0, 1, 2, 4)[flags & 3]
    size = (1 if is_single else 0, 2, 4, 8)[flags >> 6]
    at = (5 if is_single else 6) + dictionary
    return int.from_bytes(data[at : at + size], "little")


def _stated(start: int, stop: int, order: str) -> Callable[[bytes, int], int]:
    def size(data: bytes, _most: int) -> int:
        return int.from_bytes(data[start:stop], order)  # type: ignore[arg-type]

    return size


def _blosc2(data: bytes, _most: int) -> int:
    """Read the size in the header of a frame or chunk (README_CFRAME_FORMAT)."""
    is_frame = data[2:10] == b"b2frame\0"
    return int.from_bytes(data[30:38], "big") if is_frame else int.from_bytes(data[4:8], "little")


SHUFFLE, BITSHUFFLE = 2, 32008

SAME_SIZE = {SHUFFLE: 0, 3: 4}
"""Filters that do not compress, shuffle and Fletcher-32, and the bytes that they add."""

SIZES: dict[int, Callable[[bytes, int], int]] = {
    1: _zlib,
    SHUFFLE: lambda data, _most: len(data),
    3: lambda data, _most: len(data),
    4: _stated(0, 4, "little"),  # szip
    307: _bzip2,
    32001: _stated(4, 8, "little"),  # Blosc
    32004: _stated(0, 8, "big"),  # LZ4
    BITSHUFFLE: _stated(0, 8, "big"),
    32015: _zstd,
    32026: _blosc2,
}
"""Functions that return the decompressed size in bytes, by filter number."""
