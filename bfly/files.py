"""The one way to a file: checked against ``allowed-paths``, opened once, bounded in number."""

from __future__ import annotations

import os
import stat
import threading
from collections import OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import unquote

from bfly.errors import NotAllowed, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bfly.disk_cache import DiskCache

__all__ = [
    "Files",
    "Stamp",
    "is_url",
    "read_allowed",
    "read_exactly",
    "read_into",
    "reading",
    "seen_at",
    "stamp_of",
]

SCHEMES = ("http", "https", "s3", "gs")
"""Of the URLs that a path can be."""

Stamp = tuple[int, int, int] | None
"""Modification time in ns, size and inode; None for a file that is not there."""


def stamp_of(path: str) -> Stamp:
    """Give what tells one state of a file from another, or None where there is no file."""
    try:
        return _stamp(os.stat(path))
    except OSError:
        return None


def seen_at(path: str) -> tuple[Stamp, bool]:
    """Give what is at a path, as `stamp_of` gives it, and whether it is a link; in one look.

    The stamp of a link is its own, not that of the file where it leads.
    """
    try:
        status = os.lstat(path)
    except OSError:
        return None, False
    return _stamp(status), stat.S_ISLNK(status.st_mode)


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_mtime_ns, status.st_size, status.st_ino


def is_url(path: str) -> bool:
    """Tell whether a path is a URL of a kind that can be read."""
    scheme, found, _ = path.partition("://")
    return bool(found) and scheme in SCHEMES


def _check_url(url: str) -> None:
    """Refuse what makes a URL lead elsewhere than it begins."""
    _, _, rest = url.partition("://")
    steps = unquote(rest).replace("\\", "/").split("/")
    if not steps[0] or "@" in steps[0] or {"?", "#"} & set(rest) or {".", ".."} & set(steps):
        raise NotAllowed(f"The URL {url} has a login, '?', '#', '.' or '..' in it.")


class _Handle:
    """An open file and how many callers are reading from it."""

    __slots__ = ("fd", "stamp", "users")

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.stamp = _stamp(os.fstat(self.fd))
        self.users = 0


class Files:
    """Opens files under the allowed folders and keeps the last few of them open.

    Parameters
    ----------
    allowed : iterable of str
        The folders and the beginnings of URLs that may be read from, as in ``allowed-paths``.
    limit : int
        How many files stay open while nobody reads from them.
    disk_cache : DiskCache, optional
        Keeps what is read from URLs.
    """

    def __init__(
        self,
        allowed: Iterable[str] = ("/",),
        limit: int = 256,
        disk_cache: DiskCache | None = None,
    ) -> None:
        self.disk_cache = disk_cache
        self.allowed = [
            each if is_url(each) else os.path.realpath(os.path.expanduser(each)) for each in allowed
        ]
        self.limit = limit
        self._handles: OrderedDict[str, _Handle] = OrderedDict()
        self._lock = threading.Lock()

    def resolve(self, path: str) -> str:
        """Give the real path of a file, its links resolved; a URL as it is.

        Raises
        ------
        NotAllowed
            The real path lies outside every allowed folder, or no allowed URL begins the URL.
        """
        real = path if is_url(path) else os.path.realpath(path)
        if is_url(path):
            _check_url(path)
        for folder in self.allowed:
            if real == folder or real.startswith(folder.rstrip("/") + "/"):
                return real
        raise NotAllowed(f"The path {path} is not in allowed-paths {self.allowed}.")

    def read_bytes(self, path: str) -> bytes:
        """Read a whole file that is needed once, without keeping it open.

        Raises
        ------
        NotAllowed
            As `resolve`.
        SourceError
            The file cannot be read; the message holds the system's reason.
        FileNotFoundError
            There is no such file: whether that is an error is the caller's to say.
        """
        return read_allowed(self.resolve(path), path)

    @contextmanager
    def open(self, path: str) -> Iterator[tuple[int, Stamp]]:
        """Lend an open file for positioned reads, from any number of threads at once.

        Yields
        ------
        fd : int
            A file descriptor for `read_exactly` or `os.preadv`; never seek in it.
        stamp : Stamp
            The state that the file was in when it was opened.

        Raises
        ------
        NotAllowed, SourceError
            As `read_bytes`.
        """
        handle = self._acquire(path)
        try:
            yield handle.fd, handle.stamp
        finally:
            self._release(handle)

    def _acquire(self, path: str) -> _Handle:
        # Also a link that leads elsewhere by now shows in the stamp, so a path is resolved
        # and checked only when its file is opened.
        stamp = stamp_of(path)
        with self._lock:
            handle = self._handles.pop(path, None)
            if handle is not None and handle.stamp != stamp:
                self._close(handle)
                handle = None
            if handle is None:
                try:
                    handle = _Handle(self.resolve(path))
                except OSError as error:
                    raise SourceError(f"{path} cannot be read: {error.strerror}.") from error
            self._handles[path] = handle
            handle.users += 1
            self._shrink()
            return handle

    def _release(self, handle: _Handle) -> None:
        with self._lock:
            handle.users -= 1
            if handle.users == 0 and handle not in self._handles.values():
                os.close(handle.fd)

    def _shrink(self) -> None:
        while len(self._handles) > self.limit:
            self._close(self._handles.popitem(last=False)[1])

    def _close(self, handle: _Handle) -> None:
        """Close a file that is no longer listed, now or when its last reader is done."""
        if handle.users == 0:
            os.close(handle.fd)

    def close(self) -> None:
        """Close every file that nobody is reading from."""
        with self._lock:
            while self._handles:
                self._close(self._handles.popitem()[1])


def read_allowed(real: str, path: str) -> bytes:
    """Read a whole file whose real path is known to be allowed; errors as `Files.read_bytes`."""
    with reading(path), open(real, "rb") as file:
        return file.read()


def read_exactly(fd: int, size: int, offset: int, path: str) -> bytes:
    """Read `size` bytes at `offset`, all of them.

    Raises
    ------
    SourceError
        The file ends too early or the disk fails; `path` names it in the message.
    """
    with reading(path):
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
        while done < size and (count := os.preadv(fd, [target[done:]], offset + done)):
            done += count
    if done < size:
        raise SourceError(
            f"{path} is truncated: {size} bytes are expected at {offset}, {done} are there."
        )


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Turn what the system says of a read into `SourceError`, but for `FileNotFoundError`.

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
        raise SourceError(f"{path} cannot be read: {error.strerror}.") from error
