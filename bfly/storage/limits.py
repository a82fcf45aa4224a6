"""Limits on the sizes a file may state or decompress to, checked before memory is allocated."""

from __future__ import annotations

import io
import json
import math
from typing import IO, TYPE_CHECKING, Any, cast

from bfly.errors import Oversized, SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "CHUNK",
    "FILES",
    "LEVELS",
    "METADATA",
    "PAGES",
    "check_chunk",
    "check_length",
    "check_number",
    "check_whole",
    "in_pieces",
    "parsed_json",
    "sides",
]

CHUNK = 1 << 30
"""Bytes: the default of ``max-chunk-size``, several times the largest chunk in common use."""

METADATA = 64 << 20
"""Bytes of a metadata document: more than the tile list of a whole section, the largest known."""

LEVELS = 256
"""Levels of a pyramid that a file may list; at most 32 of them are mips."""

PAGES = 1 << 20
"""Pages of a TIFF, or images of a stack: more than any microscope writes into one volume."""

FILES = 10_000_000
"""Files that a pattern in a list may match: 10 million are checked within half a minute."""


def check_chunk(path: str, what: str, shape: Sequence[int], itemsize: int, limit: int) -> None:
    """Raise `Oversized` if an array takes more than ``max-chunk-size``.

    Parameters
    ----------
    path : str
        Names the file in the message.
    what : str
        Name of the array in the message, such as ``a chunk``.
    shape : sequence of int
        Shape in voxels.
    itemsize : int
        Bytes of a voxel.
    limit : int
        Bytes.
    """
    size = math.prod(shape) * itemsize
    if size > limit:
        sides = " x ".join(map(str, shape))
        raise Oversized(
            f"{path}: {what} of {sides} voxels unpacks to {size} bytes; max-chunk-size is {limit}."
        )


def check_whole(path: str, size: int, limit: int) -> None:
    """Raise `Oversized` if a file compressed as a whole decompresses to too many bytes."""
    if size > limit:
        raise Oversized(
            f"{path} is compressed from end to end and unpacks to {size} bytes; max-chunk-size is "
            f"{limit}. Raise that, or store the volume in chunks."
        )


def check_length(path: str, size: int, limit: int) -> None:
    """Raise `Oversized` if a file, or a part of it, is longer than may be read at once."""
    if size > limit:
        raise Oversized(f"{path} is {size} bytes long; at most {limit} are read at once.")


def check_number(path: str, number: int, limit: int, what: str) -> None:
    """Raise `Oversized` if a file lists more items than a limit; `what` names them."""
    if number > limit:
        raise Oversized(f"{path} has {number} {what}; allowed are {limit}.")


def sides(values: Any, what: str, path: str) -> tuple[int, ...]:
    """Return the shape of a chunk, as the metadata state it.

    Raises
    ------
    SourceError
        It is not a list of whole numbers from 1 to 2^62; the message has `what` and the value.
    """
    listed = values if isinstance(values, list) else []
    if listed and all(type(value) is int and 0 < value <= 1 << 62 for value in listed):
        return tuple(listed)
    raise SourceError(f"{path}: {what} is {values!r:.80}; allowed are whole numbers from 1.")


def parsed_json(data: bytes, name: str) -> Any:
    """Return the value of a JSON document.

    Raises
    ------
    SourceError
        The document is not JSON, or it is nested too deeply.
    """
    try:
        return json.loads(data)
    except RecursionError as error:
        raise SourceError(f"{name} is not usable JSON: it is nested too deeply.") from error
    except ValueError as error:
        raise SourceError(f"{name} is not JSON: {error}.") from error


def in_pieces(file: IO[bytes], path: str) -> IO[bytes]:
    """Wrap an open file so that one read cannot exceed a limit (see `_Pieces`)."""
    return cast("IO[bytes]", _Pieces(file, path))


class _Pieces(io.RawIOBase):
    """A file with a limit on the size of each read, for libraries that read headers.

    Parameters
    ----------
    file : file object
        An open file; it is not closed.
    path : str
        Names it in the message.
    limit : int
        Bytes.
    """

    def __init__(self, file: IO[bytes], path: str, limit: int = METADATA) -> None:
        self.name = path
        self._file = file
        self._limit = limit

    def read(self, size: int | None = -1, /) -> bytes:
        """Read up to `size` bytes; raise `Oversized` if that exceeds the limit."""
        if size is None or size < 0:
            data = self._file.read(self._limit + 1)
            check_length(self.name, len(data), self._limit)
            return data
        check_length(f"{self.name}: a part of its header", size, self._limit)
        return self._file.read(size)

    def readinto(self, buffer: Any, /) -> int:
        """Read into a buffer of the caller; errors as `read`."""
        target = memoryview(buffer).cast("B")
        data = self.read(len(target))
        target[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to a position."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell()

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True, since `seek` works."""
        return True
