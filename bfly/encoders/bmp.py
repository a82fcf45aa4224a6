"""BMP: uncompressed pixels, for clients that read no other format."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from typing_extensions import override

from bfly.encoders.sheet import StripEncoder, sheet_of
from bfly.encoders.strips import STRIP, strips
from bfly.encoders.views import pixel_bytes
from bfly.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bfly.geometry import Zyx

__all__ = ["Bmp"]

GREYS = np.array([[grey, grey, grey, 0] for grey in range(256)], np.uint8).tobytes()
"""Palette of a grey image: blue, green, red and a zero byte for each level."""

HEADER = 54
"""Bytes before the palette or the pixels."""

ALIGNED = 4
"""Bytes to a multiple of which each row is padded."""

LARGEST = 2**32 - 1
"""Bytes of a file, at most: the format stores its size in 32 bits."""


class Bmp(StripEncoder):
    """Uncompressed 8-bit grey with a palette, or 24-bit RGB. The last row comes first."""

    media_type = "image/bmp"
    max_side = 2**31 - 1
    upwards: ClassVar[bool] = True

    @override
    def check(
        self, shape: Zyx, dtype: np.dtype[Any], *, view: str = "grayscale", kind: str = "image"
    ) -> None:
        super().check(shape, dtype, view=view, kind=kind)
        size = self._largest(shape, pixel_bytes(dtype, view, kind))
        if size > LARGEST:
            raise BadRequest(
                f"The cutout of {shape} voxels (depth, height, width) makes {size} bytes of "
                f"{self.media_type}, which has at most {LARGEST}."
            )

    @override
    def encode_parts(
        self,
        parts: Iterator[NDArray[Any]],
        shape: Zyx,
        *,
        view: str = "grayscale",
        kind: str = "image",
    ) -> Iterator[bytes | memoryview]:
        for number, part in enumerate(parts):
            if not number:
                pixel = pixel_bytes(part.dtype, view, kind)
                yield _header(shape, pixel, self._largest(shape, pixel))
            depth, height, width = part.shape
            for rows in reversed([*strips((depth, height), max(1, STRIP // width))]):
                for columns in strips((width,)):
                    sheet = sheet_of(part[*rows, *columns], view, kind, self.grey_bits)
                    yield _upwards(sheet, width if columns[0].stop == width else None)

    def _encode_sheet(self, sheet: NDArray[Any]) -> bytes:
        height, width, *channels = sheet.shape
        pixel = 3 if channels else 1
        shape = (1, height, width)
        return b"".join(
            [_header(shape, pixel, self._largest(shape, pixel)), _upwards(sheet, width)]
        )

    def _largest(self, shape: Zyx, pixel: int) -> int:
        depth, height, width = shape
        palette = len(GREYS) if pixel == 1 else 0
        return HEADER + palette + depth * height * _stride(width * pixel)


def _stride(size: int) -> int:
    return -(-size // ALIGNED) * ALIGNED


def _header(shape: Zyx, pixel: int, size: int) -> bytes:
    """Return the bytes before the pixels: BITMAPFILEHEADER, BITMAPINFOHEADER and the palette."""
    depth, height, width = shape
    palette = GREYS if pixel == 1 else b""
    start = HEADER + len(palette)
    file = struct.pack("<2sIHHI", b"BM", size, 0, 0, start)
    rows = depth * height
    info = struct.pack(
        "<IiiHHIIiiII", 40, width, rows, 1, 8 * pixel, 0, size - start, 0, 0, len(palette) // 4, 0
    )
    return file + info + palette


def _upwards(sheet: NDArray[Any], width: int | None) -> memoryview:
    """Return rows bottom-up in BGR order, padded if they end a row of the given width."""
    height, columns, *channels = sheet.shape
    pixel = 3 if channels else 1
    padding = 0 if width is None else _stride(width * pixel) - width * pixel
    rows = np.zeros((height, columns * pixel + padding), np.uint8)
    for channel in range(pixel):
        place = slice(pixel - 1 - channel, columns * pixel, pixel)
        rows[:, place] = sheet[::-1, :, channel] if channels else sheet[::-1]
    return rows.reshape(-1).data
