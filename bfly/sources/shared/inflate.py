"""Streams of zlib and gzip, unpacked piece by piece to see how much they hold."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["GZIP", "ZLIB", "pieces_of"]

ZLIB, GZIP = zlib.MAX_WBITS, zlib.MAX_WBITS | 16
"""The two forms, as zlib numbers them."""

TAKEN, PIECE = 1 << 16, 1 << 20
"""Bytes that are given to zlib at once, and that it gives back at the most."""


def pieces_of(data: bytes, form: int) -> Iterator[bytes]:
    """Yield what a stream holds, and the streams that follow it; damage ends it early.

    Parameters
    ----------
    data : bytes
        The packed bytes.
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
