"""Compressed data, decompressed up to a size that is known before.

numcodecs and other libraries allocate what the data state, or what they expand to.
"""

from __future__ import annotations

import bz2
import lzma
from typing import TYPE_CHECKING, Any

import imagecodecs
from isal import isal_zlib

from bfly.errors import SourceError
from bfly.sources.shared.images import naming
from bfly.sources.shared.inflate import GZIP, ZLIB
from bfly.storage.limits import check_length

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BLOCKS", "DICTIONARY", "STREAMS", "streamed", "unpacked"]

DICTIONARY = 256 << 20
"""Bytes that xz data may request for their dictionary; the strongest preset takes 65 MiB."""

STREAMS: dict[str, Callable[[], Any]] = {
    "gzip": lambda: isal_zlib.decompressobj(wbits=GZIP),
    "zlib": lambda: isal_zlib.decompressobj(wbits=ZLIB),
    "bz2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(memlimit=DICTIONARY),
}
"""Decompressors that stop at a given size, by the name of the format."""


def _blosc(data: bytes, *, out: int) -> Any:
    """Return the content of a Blosc frame.

    c-blosc does not know where the data end: the header has to state their size
    (README_CHUNK_FORMAT.rst in https://github.com/Blosc/c-blosc).

    Raises
    ------
    ValueError
        The header states more content than allowed, or data of another size.
    """
    stated, packed = (int.from_bytes(data[at : at + 4], "little") for at in (4, 12))
    if len(data) < 16 or packed != len(data) or stated > out:
        raise ValueError(
            f"its header states {packed} bytes that unpack to {stated}; there are {len(data)}, "
            f"and {out} are expected"
        )
    return imagecodecs.blosc_decode(data, out=out) if stated else b""


def _lz4(data: bytes, *, out: int) -> Any:
    """Return the content of a block of LZ4 after four bytes with its size, as in numcodecs."""
    stated = int.from_bytes(data[:4], "little")
    if len(data) < 4 or stated > out:
        raise ValueError(f"its header states {stated} bytes, {out} are expected")
    content = imagecodecs.lz4_decode(data, header=True, out=stated)
    if len(content) != stated:
        raise ValueError(f"its header states {stated} bytes, it holds {len(content)}")
    return content


BLOCKS: dict[str, Callable[..., Any]] = {
    "brotli": imagecodecs.brotli_decode,
    "zstd": imagecodecs.zstd_decode,
    "blosc": _blosc,
    "lz4": _lz4,
}
"""Decompressors into memory of a given size, by the name of the format."""


def unpacked(data: bytes, packing: str, limit: int, what: str) -> bytes:
    """Return the content of compressed data.

    Parameters
    ----------
    data : bytes
        All of the data.
    packing : str
        Name of the format, in `STREAMS` or `BLOCKS`.
    limit : int
        Bytes that the content may have.
    what : str
        Name of the data in messages.

    Raises
    ------
    SourceError
        The data are damaged, end early, or have something after their end.
    Oversized
        The content has more bytes.
    """
    if packing not in BLOCKS:
        return streamed(data, STREAMS[packing], limit, what)
    with naming(what):
        if not data:
            raise ValueError("it is empty")  # which Zstandard takes for no frame
        return bytes(BLOCKS[packing](data, out=limit))


def streamed(data: bytes, decompressor: Callable[[], Any], limit: int, what: str) -> bytes:
    """Return the content of data, from a decompressor that stops at a size; else as `unpacked`."""
    with naming(what):
        stream = decompressor()
        content = bytes(stream.decompress(data, limit + 1))
    check_length(what, len(content), limit)
    if not stream.eof or stream.unused_data:
        raise SourceError(f"{what} is damaged: its compressed data have no clean end.")
    return content
