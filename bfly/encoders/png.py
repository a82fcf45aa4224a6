"""PNG, written for speed: one filter, igzip, and the few chunks that a file needs."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
from isal import isal_zlib

from bfly.encoders.encoder import LEVEL
from bfly.encoders.sheet import SheetEncoder

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Png"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB = 0, 2
UP = 2


class Png(SheetEncoder):
    """Lossless: 8 and 16 bit grey, 8 bit RGB.

    Every row is stored as the difference to the row above (filter type 2, "Up"), which numpy
    does for all rows at once. The format is the W3C's: https://www.w3.org/TR/png-3/.
    """

    media_type = "image/png"
    grey_bits = 16
    max_side = 2**31 - 1

    def _encode_sheet(self, sheet: NDArray[Any]) -> bytes:
        height, width = sheet.shape[:2]
        bits = 8 * sheet.dtype.itemsize
        header = struct.pack(
            ">IIBBBBB", width, height, bits, GREY if sheet.ndim == 2 else RGB, 0, 0, 0
        )
        pixels = isal_zlib.compress(_filtered(sheet), LEVEL)
        return b"".join(
            [SIGNATURE, *_chunk(b"IHDR", header), *_chunk(b"IDAT", pixels), *_chunk(b"IEND", b"")]
        )


def _filtered(sheet: NDArray[Any]) -> NDArray[np.uint8]:
    """Give the rows as (y, 1 + bytes of a row): the filter's type, then the differences."""
    big_endian = sheet.astype(sheet.dtype.newbyteorder(">"), copy=False)
    rows = big_endian.reshape(len(sheet), -1).view(np.uint8)
    filtered = np.empty((rows.shape[0], 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    return filtered


def _chunk(name: bytes, content: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """Give length, name, content and CRC of name and content."""
    crc = isal_zlib.crc32(content, isal_zlib.crc32(name))
    return struct.pack(">I", len(content)), name, content, struct.pack(">I", crc)
