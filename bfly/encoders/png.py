"""PNG, optimised for speed: one filter, igzip, and only the required chunks."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
from isal import isal_zlib
from typing_extensions import override

from bfly.encoders.encoder import LEVEL, deflated
from bfly.encoders.sheet import StripEncoder, pixel_strips
from bfly.encoders.strips import STRIP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bfly.geometry import Zyx

__all__ = ["Png"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB = 0, 2
NONE, UP = 0, 2

OVERHEAD = 12
"""Bytes of a chunk besides its content."""


class Png(StripEncoder):
    """Lossless: 8-bit and 16-bit grey, 8-bit RGB.

    Every row is stored as the difference from the row above (filter type 2, "Up"), which numpy
    computes for all rows of a strip at once. A row larger than a strip is stored without a filter
    (type 0, "None"), so that no row is held in memory. The format: https://www.w3.org/TR/png-3/.
    """

    media_type = "image/png"
    grey_bits = 16
    max_side = 2**31 - 1

    def _encode_sheet(self, sheet: NDArray[Any]) -> bytes:
        rows = _bytes_of(sheet)
        pixels = isal_zlib.compress(_filtered(rows, np.zeros_like(rows[:1])), LEVEL)
        start = _start(sheet, sheet.shape[1], sheet.shape[0])
        return b"".join([start, *_chunk(b"IDAT", pixels), *_chunk(b"IEND", b"")])

    @override
    def encode_parts(
        self,
        parts: Iterator[NDArray[Any]],
        shape: Zyx,
        *,
        view: str = "grayscale",
        kind: str = "image",
    ) -> Iterator[bytes]:
        depth, height, width = shape
        packer = isal_zlib.compressobj(LEVEL)
        above, place = None, 0
        for sheet in pixel_strips(parts, view, kind, self.grey_bits):
            rows = _bytes_of(sheet)
            if not place:
                yield _start(sheet, width, depth * height)
            content: bytes | NDArray[np.uint8]
            if width > STRIP:
                content = bytes([NONE] * (place % width == 0)) + rows.tobytes()
            else:
                content = _filtered(rows, np.zeros_like(rows[:1]) if above is None else above)
                above = rows[-1:].copy()
            place += sheet.shape[0] * sheet.shape[1]
            if packed := packer.compress(content):
                yield from _chunk(b"IDAT", packed)
        yield from _chunk(b"IDAT", packer.flush())
        yield from _chunk(b"IEND", b"")

    def _largest(self, shape: Zyx, pixel: int) -> int:
        depth, height, width = shape
        chunks = 8 + 3 * math.prod(shape) // STRIP
        return deflated(depth * height * (1 + width * pixel)) + OVERHEAD * chunks


def _start(sheet: NDArray[Any], width: int, height: int) -> bytes:
    """Return the signature and header of a file."""
    colour = GREY if sheet.ndim == 2 else RGB
    header = struct.pack(">IIBBBBB", width, height, 8 * sheet.dtype.itemsize, colour, 0, 0, 0)
    return b"".join([SIGNATURE, *_chunk(b"IHDR", header)])


def _bytes_of(sheet: NDArray[Any]) -> NDArray[np.uint8]:
    """Return rows as big-endian bytes; a copy only if needed."""
    big_endian = sheet.astype(sheet.dtype.newbyteorder(">"), copy=False)
    return big_endian.reshape(len(sheet), -1).view(np.uint8)


def _filtered(rows: NDArray[np.uint8], above: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the rows as (y, 1 + bytes of a row): the filter's type, then the differences."""
    filtered = np.empty((rows.shape[0], 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = UP
    np.subtract(rows[:1], above, out=filtered[:1, 1:])
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    return filtered


def _chunk(name: bytes, content: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """Return length, name, content, and the CRC of name and content."""
    crc = isal_zlib.crc32(content, isal_zlib.crc32(name))
    return struct.pack(">I", len(content)), name, content, struct.pack(">I", crc)
