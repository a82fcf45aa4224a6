"""Reading from open files, and the errors when that fails."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from bfly.errors import SourceError
from bfly.storage.limits import check_length
from bfly.storage.opening import as_error, open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FARTHEST", "named", "read_all", "read_exactly", "read_into", "reading", "regular"]

FARTHEST = (1 << 63) - 1
"""Bytes: the largest offset that the system can address."""

PIECE = 1 << 20
"""Bytes per read once a file has grown while it is read."""


def read_all(fd: int, path: str, limit: int) -> bytes:
    """Read a whole file from an open descriptor.

    Raises
    ------
    Oversized
        The file has more than `limit` bytes; the message names `path`. Nothing is read, unless
        the file grows meanwhile.
    """
    size = os.fstat(fd).st_size
    check_length(path, size, limit)
    # Same as file.read(), but creating a file object takes longer than reading a small file.
    parts = [os.read(fd, size + 1)]
    size = len(parts[0])
    while parts[-1]:
        parts.append(os.read(fd, PIECE))
        size += len(parts[-1])
        check_length(path, size, limit)
    return parts[0] if len(parts) == 2 else b"".join(parts)


def read_exactly(fd: int, size: int, offset: int, path: str) -> bytes:
    """Read `size` bytes at `offset`, all of them.

    Raises
    ------
    SourceError
        The file ends too early or the disk fails; `path` names it in the message.
    """
    with reading(path):
        _check_place(size, offset, path)
        data = os.pread(fd, size, offset)
    if len(data) == size:
        return data
    # A signal, or some file systems, may cut a read short.
    buffer = bytearray(size)
    read_into(fd, memoryview(buffer), offset, path)
    return bytes(buffer)


def read_into(fd: int, target: memoryview, offset: int, path: str) -> None:
    """Fill a flat buffer of bytes from a file at `offset`; errors as `read_exactly`."""
    size, done = len(target), 0
    with reading(path):
        _check_place(size, offset, path)
        while done < size and (count := os.preadv(fd, [target[done:]], offset + done)):
            done += count
    if done < size:
        raise SourceError(
            f"{path} is truncated: {size} bytes are expected at {offset}, {done} are there."
        )


def _check_place(size: int, offset: int, path: str) -> None:
    """Raise `SourceError` for offsets beyond any file; the system would report another error."""
    if not 0 <= offset <= FARTHEST - size:
        raise SourceError(
            f"{path} is damaged: it says that {size} bytes are at {offset}, which no file has."
        )


def regular(path: str) -> IO[bytes]:
    """Open a file to detect its format, without a check of its path; voxels are read by `Files`.

    Raises
    ------
    OSError
        It cannot be opened or is not a regular file.
    Busy
        No file descriptor is free, so the format remains unknown.
    """
    return named(open_regular(path), path)


def named(fd: int, path: str) -> IO[bytes]:
    """Return a file object that owns a descriptor and has `path` as its name."""
    return open(path, "rb", opener=lambda *_: fd)


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Convert errors of the system into errors of Butterfly, except `FileNotFoundError`.

    They become `SourceError`, or `Busy` if no file descriptor is free.

    Parameters
    ----------
    path : str
        Names the file in the message.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise as_error(error, path) from error
