"""Checksums before or after the data of a chunk, as numcodecs writes them.

The formats: https://numcodecs.readthedocs.io/en/stable/checksum32.html.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import google_crc32c
import imagecodecs

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AT_START", "SUMS", "crc32c", "verified"]

SIZE = 4
"""Bytes of a checksum, little-endian."""

AT_START = ("crc32", "adler32")
"""Checksums that are before the data unless their ``location`` is ``end``."""


def crc32c(data: bytes) -> int:
    """Return the checksum that zarr 3 has after chunks and indexes of shards (RFC 3720)."""
    return int(google_crc32c.value(bytes(data)))


SUMS: dict[str, Callable[[bytes], int]] = {
    "crc32": zlib.crc32,
    "adler32": zlib.adler32,
    "crc32c": crc32c,
    "fletcher32": lambda data: int(imagecodecs.h5checksum_fletcher32(data)),
    "jenkins_lookup3": lambda data: int(imagecodecs.h5checksum_lookup3(data, 0)),
}
"""Checksums by the name of their codec."""


def verified(data: Any, name: str, *, at_start: bool) -> bytes:
    """Return data without their checksum.

    Raises
    ------
    ValueError
        The checksum is another one, or there is none.
    """
    plain = bytes(data)
    if len(plain) < SIZE:
        raise ValueError(f"there are {len(plain)} bytes, too few for its {name}")
    stated, body = (plain[:SIZE], plain[SIZE:]) if at_start else (plain[-SIZE:], plain[:-SIZE])
    if int.from_bytes(stated, "little") != SUMS[name](body):
        raise ValueError(f"its {name} is not that of its data")
    return body
