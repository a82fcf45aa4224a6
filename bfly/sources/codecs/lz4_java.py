"""LZ4 as lz4-java's LZ4BlockOutputStream writes it, which N5 has under the name ``lz4``.

The format: ``LZ4BlockInputStream.java`` in https://github.com/lz4/lz4-java. Blocks with a header
each, all numbers little-endian, and a block without content at the end.
"""

from __future__ import annotations

import struct

import imagecodecs
import xxhash

__all__ = ["unpack_blocks"]

HEADER = struct.Struct("<8sBIII")
"""Magic; method and level; bytes compressed and not; checksum of the content."""

MAGIC = b"LZ4Block"

RAW, LZ4 = 0x10, 0x20
"""Methods, the upper half of their byte."""

SEED, BITS = 0x9747B28C, 0x0FFFFFFF
"""Seed of the checksum, xxHash32, and the bits of it that are stored."""


def unpack_blocks(data: bytes, *, out: int) -> bytes:
    """Return the content of all blocks.

    Parameters
    ----------
    data : bytes
        The blocks, with or without the empty one at the end.
    out : int
        Bytes that the content may have.

    Raises
    ------
    ValueError
        The data are damaged, or hold more.
    """
    parts, at, left = list[bytes](), 0, out
    while at < len(data):
        if len(data) - at < HEADER.size:
            raise ValueError("it ends in the header of an LZ4 block")
        magic, token, packed, size, checksum = HEADER.unpack_from(data, at)
        body = data[at + HEADER.size : at + HEADER.size + packed]
        at += HEADER.size + packed
        if magic != MAGIC or len(body) < packed:
            raise ValueError("an LZ4 block in it is damaged or ends early")
        if not size:
            break
        if size > left:
            raise ValueError(f"it unpacks to more than the expected {out} bytes")
        part = _content(body, token & 0xF0, size)
        if len(part) != size or xxhash.xxh32_intdigest(part, SEED) & BITS != checksum:
            raise ValueError("an LZ4 block in it has another checksum than its content")
        parts.append(part)
        left -= size
    if at < len(data):
        raise ValueError("there is something after its last LZ4 block")
    return b"".join(parts)


def _content(body: bytes, method: int, size: int) -> bytes:
    if method == RAW:
        return body
    if method != LZ4:
        raise ValueError(f"an LZ4 block in it has the unknown method {method:#x}")
    return bytes(imagecodecs.lz4_decode(body, out=size))
