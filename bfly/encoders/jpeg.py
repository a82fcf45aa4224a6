"""JPEG: small and lossy, for viewing images."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
from typing_extensions import override

from bfly.encoders.sheet import StripEncoder, pixel_strips
from bfly.encoders.strips import STRIP

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from bfly.geometry import Zyx

__all__ = ["Jpeg"]

QUALITY = 90
"""Quality, 1 to 100. On FIB-SEM the mean error is 2.4 of 255 levels, at a third of the raw size. At
95 it is 1.5 levels, but files are half as large again; at 80 files are a third smaller, and it is
3.2 levels."""

UNIT = 8
"""Pixels along a side of a block of the transform."""

MOST_UNITS = 65_535
"""Blocks between two restart markers, at most: the format stores the interval in 16 bits."""

FRAME, SCAN, INTERVAL, RESTART = 0xC0, 0xDA, 0xDD, 0xD0
"""Second bytes of markers: baseline frame, scan, restart interval, first restart."""

END = b"\xff\xd9"


class Jpeg(StripEncoder):
    """8-bit grey, or RGB with colour at full resolution, by libjpeg-turbo.

    The strips of a large sheet are encoded one by one and joined with restart markers. The pixels
    are those of a single image, since no block crosses a strip.
    """

    media_type = "image/jpeg"
    max_side = 65_500
    """The format has 16 bits for a side, but libjpeg, which most readers use, has this limit."""

    def _encode_sheet(self, sheet: NDArray[Any]) -> bytes:
        return bytes(imagecodecs.jpeg8_encode(sheet, level=QUALITY, subsampling="444"))

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
        across = -(-width // UNIT)
        units = min(MOST_UNITS // across, max(1, STRIP // (UNIT * width)))
        strips = _of_height(pixel_strips(parts, view, kind, self.grey_bits), UNIT * units)
        for number, strip in enumerate(strips):
            header, scan = _divided(self._encode_sheet(strip))
            if not number:
                yield _restarting(header, depth * height, units * across)
            else:
                yield bytes([0xFF, RESTART + (number - 1) % 8])
            yield scan
        yield END

    def _largest(self, shape: Zyx, pixel: int) -> int:
        depth, height, width = shape
        padded = (depth * height + UNIT) * (width + UNIT)
        # libjpeg-turbo itself assumes at most twice the pixels.
        return 2 * pixel * padded + (64 << 10)


def _of_height(sheets: Iterable[NDArray[Any]], height: int) -> Iterator[NDArray[Any]]:
    """Yield the rows of sheets in sheets of equal height, except the last.

    The next sheet reuses the memory of a sheet.
    """
    sheet, filled = np.empty((0, 0), np.uint8), 0
    for rows in sheets:
        if not len(sheet):
            sheet = np.empty((height, *rows.shape[1:]), rows.dtype)
        done = 0
        while done < len(rows):
            count = min(height - filled, len(rows) - done)
            sheet[filled : filled + count] = rows[done : done + count]
            done, filled = done + count, filled + count
            if filled == height:
                yield sheet
                filled = 0
    if filled:
        yield sheet[:filled]


def _divided(file: bytes) -> tuple[bytes, bytes]:
    """Split a file into the bytes before its scan, and the compressed pixels."""
    start = next(stop for marker, _, stop in _segments(file) if marker == SCAN)
    return file[:start], file[start : -len(END)]


def _restarting(header: bytes, height: int, interval: int) -> bytes:
    """Return a header with another height, and a restart interval of so many blocks."""
    changed = bytearray(header)
    for marker, start, _ in _segments(header):
        if marker == FRAME:
            struct.pack_into(">H", changed, start + 5, height)  # after length and precision
        elif marker == SCAN:
            changed[start:start] = struct.pack(">BBHH", 0xFF, INTERVAL, 4, interval)
    return bytes(changed)


def _segments(file: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield the marker, the start and the stop of each segment up to the scan."""
    start, marker = 2, 0
    while marker != SCAN:
        marker = file[start + 1]
        (length,) = struct.unpack_from(">H", file, start + 2)
        yield marker, start, start + 2 + length
        start += 2 + length
