"""Check that compressed data are complete, without decompressing where their format allows it.

A chunk that is sent as stored is not decoded here, so truncation must be found otherwise. Damage
inside a chunk is found by the client that decodes it.
"""

from __future__ import annotations

import struct

from isal import isal_zlib

__all__ = ["is_blosc", "is_gzip", "unpacks_as_zlib", "is_zstd"]

LARGEST_WINDOW = 8 << 20
"""Window in bytes that every decoder of the content coding zstd must support (RFC 9659)."""

BLOSC_CODECS = (0, 1, 3, 4)
"""BloscLZ, LZ4, zlib and Zstandard; some builds of Blosc lack Snappy (2)."""


def is_gzip(data: bytes, nbytes: int) -> bool:
    """Return whether data begin as a gzip file and end with a size (RFC 1952, 2.3).

    Parameters
    ----------
    data : bytes
        All of the compressed data, here and below.
    nbytes : int
        Expected bytes after decompression.
    """
    is_member = data.startswith(b"\x1f\x8b\x08") and len(data) >= 18 and data[3] < 32
    return is_member and int.from_bytes(data[-4:], "little") == nbytes


def unpacks_as_zlib(data: bytes, nbytes: int) -> bool:
    """Return whether data are a zlib stream: only decompression finds the end of one."""
    stream = isal_zlib.decompressobj()
    try:
        unpacked = stream.decompress(data, nbytes + 1)
    except isal_zlib.error:  # type: ignore[misc]  # the stub takes the class for an error
        return False
    return len(unpacked) == nbytes and stream.eof and not stream.unused_data


def is_zstd(data: bytes, nbytes: int) -> bool:
    """Return whether data are one frame of Zstandard that states its size (RFC 8878, 3.1.1).

    It needs no dictionary and no larger window than HTTP allows, and ends with its last block.
    """
    if not data.startswith(b"\x28\xb5\x2f\xfd") or len(data) < 6:
        return False
    flags = data[4]
    is_single, has_checksum, has_dictionary = flags & 32, flags & 4, flags & 3
    size = (1 if is_single else 0, 2, 4, 8)[flags >> 6]
    at = 5 if is_single else 6
    stated = int.from_bytes(data[at : at + size], "little") + (256 if size == 2 else 0)
    if flags & 8 or has_dictionary or not size or stated != nbytes:
        return False
    base = 1 << 10 + (data[5] >> 3)
    window = nbytes if is_single else base + base // 8 * (data[5] & 7)
    return window <= LARGEST_WINDOW and _end_of_blocks(data, at + size) == len(data) - (
        4 if has_checksum else 0
    )


def _end_of_blocks(data: bytes, at: int) -> int:
    """Return the end of the last block of a frame; beyond the data if there is none."""
    while at + 3 <= len(data):
        header = int.from_bytes(data[at : at + 3], "little")
        is_last, kind, size = header & 1, header >> 1 & 3, header >> 3
        # A block of kind 1 is one byte to repeat.
        at += 3 + (1 if kind == 1 else size)
        if is_last:
            return at
    return len(data) + 1


def is_blosc(data: bytes, nbytes: int) -> bool:
    """Return whether data are one Blosc 1 frame that any Blosc reads (README_CHUNK_FORMAT)."""
    if len(data) < 16:
        return False
    version, _, flags, _, stated, _, packed = struct.unpack_from("<BBBBIII", data)
    is_supported = version == 2 and flags >> 5 in BLOSC_CODECS
    return is_supported and (stated, packed) == (nbytes, len(data))
