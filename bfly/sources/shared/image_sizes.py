"""Image sizes that headers state, read before the images are decoded.

Image libraries allocate memory for the stated size, however few bytes follow.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

__all__ = ["Stated", "stated"]

FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""JPEG markers that begin a frame (ITU-T T.81, table B.1)."""

BASELINE = (0xC0, 0xC1, 0xC3)
"""Frames that are decoded row by row if one scan holds all colours."""

SCAN, ALONE = 0xDA, {0x01, *range(0xD0, 0xD9)}
"""Marker before the coded pixels, and markers without a length field."""


RATIOS = ((0, 1), (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
"""Width by height of a JPEG XL image, by the number in its header; 0: the width is stated."""

ITEMS = 1 << 16
"""Images in a file whose properties are compared: its tiles are far fewer."""


class Stated(NamedTuple):
    """Image size that a header states.

    Parameters
    ----------
    height, width : int
        Pixels.
    depth : int
        Least bytes that a decoder allocates for a pixel.
    """

    height: int
    width: int
    depth: int = 1

    @property
    def nbytes(self) -> int:
        """Least bytes that a decoder allocates."""
        return self.height * self.width * self.depth


def stated(data: bytes) -> Stated | None:
    """Return the size in the header of an image; None if its format is not supported.

    Supported are PNG, JPEG, JPEG 2000, JPEG XL, JPEG XR, WebP, AVIF, BMP and LERC.
    """
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            return _png(data)
        if data.startswith(b"\xff\xd8"):
            return _jpeg(data)
        if data.startswith((b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ")):
            return _jpeg2000(data)
        if data.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
            return _jpegxl(data)
        if data.startswith(b"II\xbc"):
            return _jpegxr(data)
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _webp(data)
        if data[4:8] == b"ftyp":
            return _avif(data)
        if data.startswith(b"BM"):
            width, height = struct.unpack_from("<ii", data, 18)
            return Stated(abs(height), abs(width), 4)
        if data.startswith(b"Lerc2 "):
            version, height, width = struct.unpack_from("<ixxxxii", data, 6)
            bands = struct.unpack_from("<i", data, 22)[0] if version >= 4 else 1
            return Stated(abs(height), abs(width), max(1, abs(bands)))
    except (struct.error, IndexError, ValueError):
        pass
    return None


def _png(data: bytes) -> Stated:
    """Read the IHDR chunk (PNG specification, 11.2.2); palettes are RGB, and all may have alpha."""
    width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    samples = {0: 1, 2: 3, 3: 3, 4: 2}.get(colour, 4)
    return Stated(height, width, samples * (2 if depth == 16 else 1))


def _jpeg(data: bytes) -> Stated | None:
    """Read the markers up to the first scan (ITU-T T.81, annex B)."""
    at, frame, kind, colours = 2, None, 0, 1
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            at += 1
            continue
        marker = data[at + 1]
        if marker == 0xFF or marker in ALONE or not marker:
            at += 1 if marker == 0xFF else 2
            continue
        (size,) = struct.unpack_from(">H", data, at + 2)
        if marker in FRAMES:
            height, width, colours = struct.unpack_from(">HHB", data, at + 5)
            kind, frame = marker, Stated(height, width, colours)
        if marker == SCAN and frame:
            # Decoders keep several scans as 2-byte coefficients until the last one.
            if kind not in BASELINE or data[at + 4] < colours:
                return frame._replace(depth=3 * colours)
            return frame
        at += 2 + size
    return frame


def _jpeg2000(data: bytes) -> Stated | None:
    """Find the SIZ marker of the codestream (ITU-T T.800, A.5.1)."""
    at = data.find(b"\xff\x4f\xff\x51")
    if at < 0:
        return None
    right, bottom, left, top = struct.unpack_from(">IIII", data, at + 8)
    (colours,) = struct.unpack_from(">H", data, at + 40)
    # OpenJPEG decodes to 32 bits.
    return Stated(max(0, bottom - top), max(0, right - left), 4 * max(1, colours))


def _jpegxl(data: bytes) -> Stated | None:
    """Read the size header of the codestream (ISO/IEC 18181-1, D.2)."""
    at = 0
    if data.startswith(b"\0\0\0"):
        boxes = [data.find(name) for name in (b"jxlc", b"jxlp")]
        at = min((box for box in boxes if box >= 0), default=-1) + 4
        at += 4 if data[at - 4 : at] == b"jxlp" else 0
    if data[at : at + 2] != b"\xff\x0a":
        return None
    bits = int.from_bytes(data[at + 2 : at + 14], "little")

    def take(count: int) -> int:
        nonlocal bits
        value = bits & (1 << count) - 1
        bits >>= count
        return value

    def side(is_small: int) -> int:
        return 8 * (take(5) + 1) if is_small else take((9, 13, 18, 30)[take(2)]) + 1

    is_small = take(1)
    height = side(is_small)
    ratio = take(3)
    above, below = RATIOS[ratio]
    width = height * above // below if ratio else side(is_small)
    # Decoders use floats, up to four per pixel.
    return Stated(height, width, 4)


def _webp(data: bytes) -> Stated | None:
    """Read the header of the first chunk (RFC 9649, 2.5 to 2.7)."""
    match data[12:16]:
        case b"VP8X":
            width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
        case b"VP8L":
            bits = int.from_bytes(data[21:25], "little")
            width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
        case _:
            return None
    return Stated(height, width, 4)


def _avif(data: bytes) -> Stated | None:
    """Return the largest image in the properties of items (ISO/IEC 23008-12, 6.5.3).

    Those of tiles and of alpha are no larger than the image.
    """
    found: list[tuple[int, ...]] = []
    at = data.find(b"ispe")
    while at >= 0 and len(found) < ITEMS:
        found.append(struct.unpack_from(">II", data, at + 8))
        at = data.find(b"ispe", at + 4)
    if not found:
        return None
    width, height = max(found, key=lambda sides: sides[0] * sides[1])
    # Decoders keep the planes of 16 bits beside the pixels.
    return Stated(height, width, 12)


def _jpegxr(data: bytes) -> Stated | None:
    """Read the tags of the width and the height (ITU-T T.832, annex A)."""
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    tags = dict(struct.unpack_from("<HxxxxxxI", data, at + 2 + 12 * i) for i in range(count))
    if 0xBC80 not in tags or 0xBC81 not in tags:
        return None
    return Stated(tags[0xBC81], tags[0xBC80], 4)
