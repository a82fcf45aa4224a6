"""Reading from files that are open, and what the system says when that fails."""

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
"""Bytes: the end of the longest file that the system can address."""

PIECE = 1 << 20
"""Bytes that are read at once of a file that grows while it is read."""


def read_all(fd: int, path: str, limit: int) -> bytes:
    """Read a whole file from an open descriptor.

    Raises
    ------
    Oversized
        It has more bytes than `limit`, which `path` names in the message; none are read, unless
        it grows meanwhile.
    """
    size = os.fstat(fd).st_size
    check_length(path, size, limit)
    # As a file object does it, which takes longer to make than a small file to read.
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
    # A signal, or a file system of few bytes at a time, may cut a read short.
    whole = bytearray(size)
    read_into(fd, memoryview(whole), offset, path)
    return bytes(whole)


def read_into(fd: int, target: memoryview, offset: int, path: str) -> None:
    """Read as `read_exactly`, into memory that is there: flat, of bytes, and filled whole."""
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
    """Refuse what no file can have, which the system calls would take for another error."""
    if not 0 <= offset <= FARTHEST - size:
        raise SourceError(
            f"{path} is damaged: it says that {size} bytes are at {offset}, which no file has."
        )


def regular(path: str) -> IO[bytes]:
    """Open a file to see what it is, wherever it is; to read voxels there is `Files`.

    Raises
    ------
    OSError
        It cannot be opened or is not a regular file.
    Busy
        No file descriptor is left: that does not say that it is of no known format.
    """
    return named(open_regular(path), path)


def named(fd: int, path: str) -> IO[bytes]:
    """Return the file of a descriptor, which it then owns, with the name by which it is known."""
    return open(path, "rb", opener=lambda *_: fd)


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Turn what the system says of a read into an error, but for `FileNotFoundError`.

    It is `SourceError`, or `Busy` where there is no file descriptor left.

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
