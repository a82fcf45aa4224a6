"""Streams of zlib and gzip, decompressed in pieces to measure their content."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["GZIP", "ZLIB", "pieces_of"]

ZLIB, GZIP = zlib.MAX_WBITS, zlib.MAX_WBITS | 16
"""The two formats, as zlib's ``wbits``."""

TAKEN, PIECE = 1 << 16, 1 << 20
"""Bytes passed to zlib at once, and the most that it returns at once."""


def pieces_of(data: bytes, form: int) -> Iterator[bytes]:
    """Yield the content of a stream and of those that follow it; damage ends it early.

    Parameters
    ----------
    data : bytes
        The compressed bytes.
    form : int
        `ZLIB` or `GZIP`.
    """
    stream = zlib.decompressobj(form)
    for at in range(0, len(data), TAKEN):
        part = data[at : at + TAKEN]
        while part:
            if stream.eof:
                stream = zlib.decompressobj(form)
            try:
                piece = stream.decompress(part, PIECE)
            except zlib.error:
                return
            part = stream.unused_data if stream.eof else stream.unconsumed_tail
            if piece:
                yield piece
