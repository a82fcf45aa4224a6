"""Arrays and a header in one body of bytes, as databases keep them.

A body is a zlib stream: the length of the header (4 bytes), the header as JSON, then the arrays
one after the other, little-endian.
"""

from __future__ import annotations

import json
import zlib
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from isal import isal_zlib

from bfly.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Arrays", "header_of", "packed", "unpacked"]

LARGE = 1 << 16
"""Bytes of a body from which on a library is faster that takes long to begin."""

Arrays = dict[str, np.ndarray[Any, np.dtype[Any]]]


def packed(
    kinds: Mapping[str, str], arrays: Mapping[str, Any], words: Mapping[str, Any], level: int = 1
) -> bytes:
    """Return a body.

    Parameters
    ----------
    kinds : mapping
        Name of each array → its dtype, in their order.
    arrays : mapping
        Name → array.
    words : mapping
        Further fields of the header.
    level : int
        0 stores the arrays as they are, with a checksum: large ones are then read fast.
    """
    ordered = [np.ascontiguousarray(arrays[name], kind) for name, kind in kinds.items()]
    header = json.dumps({"lengths": [array.size for array in ordered], **words}).encode()
    parts = [len(header).to_bytes(4, "little"), header, *(each.tobytes() for each in ordered)]
    data = b"".join(parts)
    return (
        isal_zlib.compress(data, 1) if level and len(data) > LARGE else zlib.compress(data, level)
    )


def unpacked(kinds: Mapping[str, str], body: bytes, what: str) -> tuple[Arrays, dict[str, Any]]:
    """Return the arrays and the header of a body. Arrays that a former version lacked are empty.

    Raises
    ------
    DatabaseError
        The body is damaged, or has arrays of a later Butterfly.
    """
    data, start, header = _parts(body, what)
    lengths = header.pop("lengths")
    if len(lengths) > len(kinds):
        raise DatabaseError(f"{what} was written by a later Butterfly.")
    arrays: Arrays = {}
    for (name, kind), length in zip(kinds.items(), [*lengths, *[0] * len(kinds)], strict=False):
        if not length:
            # Most arrays of an operation are empty, and a log has many operations.
            arrays[name] = _nothing(kind)
            continue
        try:
            arrays[name] = np.frombuffer(data, kind, length, start)
        except ValueError as error:
            raise DatabaseError(f"{what} is damaged: {error}") from error
        start += arrays[name].nbytes
    return arrays, header


@cache
def _nothing(kind: str) -> np.ndarray[Any, np.dtype[Any]]:
    return np.frombuffer(b"", kind)


def header_of(body: bytes, what: str) -> dict[str, Any]:
    """Return the header of a body; raises as `unpacked`."""
    return _parts(body, what)[2]


def _parts(body: bytes, what: str) -> tuple[bytes, int, dict[str, Any]]:
    """Return the inflated body, where its arrays begin, and its header."""
    try:
        data = (isal_zlib if len(body) > LARGE else zlib).decompress(body)
        start = 4 + int.from_bytes(data[:4], "little")
        header: dict[str, Any] = orjson.loads(data[4:start])
        if not isinstance(header["lengths"], list):
            raise ValueError("the lengths are no list")
    except (zlib.error, isal_zlib.error, ValueError, KeyError, TypeError) as error:  # type: ignore[misc]
        raise DatabaseError(f"{what} is damaged: {error}") from error
    return data, start, header
