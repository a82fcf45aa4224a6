"""Opening of files: paths checked against ``allowed-paths``, a bounded number kept open."""

from __future__ import annotations

import os
import resource
import threading
import weakref
from collections import OrderedDict
from contextlib import contextmanager
from functools import partial
from typing import IO, TYPE_CHECKING, TypeVar
from urllib.parse import unquote

from bfly.concurrency.room import Room
from bfly.errors import Busy, NotAllowed, SourceError
from bfly.storage.limits import CHUNK
from bfly.storage.opening import as_error, open_folder, open_regular, trail_of
from bfly.storage.reads import FARTHEST, named, read_all, read_exactly, read_into, reading, regular
from bfly.storage.stamps import Stamp, seen_at, stamp_from, stamp_of, stamp_to_read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bfly.storage.disk_cache import DiskCache

T = TypeVar("T")

__all__ = [
    "FARTHEST",
    "Files",
    "Stamp",
    "is_url",
    "read_exactly",
    "read_into",
    "reading",
    "regular",
    "seen_at",
    "stamp_of",
    "stamp_to_read",
]

SCHEMES = ("http", "https", "s3", "gs")
"""Schemes of URLs that a path can be."""

HANDLES = 256
"""Idle files, which no thread reads from, kept open; more improve speed little."""


def is_url(path: str) -> bool:
    """Return whether a path is a URL with a supported scheme."""
    scheme, separator, _ = path.partition("://")
    return bool(separator) and scheme in SCHEMES


def _check_url(url: str) -> None:
    """Raise `NotAllowed` for parts that make a URL lead outside its prefix."""
    _, _, rest = url.partition("://")
    steps = unquote(rest).replace("\\", "/").split("/")
    if not steps[0] or "@" in steps[0] or {"?", "#"} & set(rest) or {".", ".."} & set(steps):
        raise NotAllowed(f"The URL {url} has a login, '?', '#', '.' or '..' in it.")


class _Handle:
    """An open file and how many callers are reading from it."""

    __slots__ = ("fd", "path", "stamp", "users")

    def __init__(self, path: str, fd: int) -> None:
        self.path = path
        self.fd = fd
        self.stamp = stamp_from(os.fstat(fd))
        self.users = 0


class Files:
    """Opens files under the allowed folders and keeps the last few of them open.

    Parameters
    ----------
    allowed : iterable of str
        The folders and URL prefixes that may be read from, as in ``allowed-paths``.
    limit : int, optional
        Number of idle files kept open. By default `HANDLES`, or a quarter of the file
        descriptors that the process may have, if those are fewer.
    disk_cache : DiskCache, optional
        Cache of bytes read from URLs.
    max_chunk : int
        Bytes that a file, or a chunk, may take in memory (``max-chunk-size``).

    Attributes
    ----------
    all_allowed : bool
        Whether every file may be read, so that real paths need no check.
    room : Room
        Memory for decompressing large chunks: together they take at most `max_chunk`.
    """

    def __init__(
        self,
        allowed: Iterable[str] = ("/",),
        limit: int | None = None,
        disk_cache: DiskCache | None = None,
        max_chunk: int = CHUNK,
    ) -> None:
        self.max_chunk = max_chunk
        self.room = Room(max_chunk)
        self.disk_cache = disk_cache
        self.allowed = [
            path if is_url(path) else os.path.realpath(os.path.expanduser(path)) for path in allowed
        ]
        self.all_allowed = "/" in self.allowed
        self.limit = _handles() if limit is None else limit
        self._handles: OrderedDict[str, _Handle] = OrderedDict()
        self._lock = threading.Lock()
        weakref.finalize(self, _close_idle, self._handles).atexit = False

    def resolve(self, path: str) -> str:
        """Return the real path of a file, with links resolved; return a URL unchanged.

        Raises
        ------
        NotAllowed
            The real path is outside every allowed folder, or the URL has no allowed prefix.
        """
        if is_url(path):
            _check_url(path)
            self._check(path, path)
            return path
        try:
            real, _ = trail_of(path)
        except ValueError:
            raise NotAllowed(f"The path {path!r} is not one of a file.") from None
        self._check(path, real)
        return real

    def _check(self, path: str, real: str) -> None:
        """Raise `NotAllowed` unless the real path, or the URL, is allowed."""
        if self._folder_of(real) is None:
            raise NotAllowed(f"The path {path} is not in allowed-paths {self.allowed}.")

    def _folder_of(self, real: str) -> str | None:
        """Return the entry of ``allowed-paths`` that contains a real path or a URL."""
        for folder in self.allowed:
            if real == folder or real.startswith(folder.rstrip("/") + "/"):
                return folder
        return None

    def trail(self, path: str) -> tuple[str, list[str]]:
        """Resolve a path, and list the folders it was looked up in.

        Returns
        -------
        real : str
            As `resolve`.
        folders : list of str
            While none of them changes, the path still resolves to `real`. Folders above an
            allowed folder are left out.

        Raises
        ------
        NotAllowed
            As `resolve`.
        """
        real, folders = trail_of(path)
        self._check(path, real)
        above = {folder[: end + 1] for folder in self.allowed for end in _ends(folder)}
        return real, [
            folder
            for folder in folders
            if folder.rstrip("/") + "/" not in above or self._folder_of(folder) is not None
        ]

    def file(self, path: str) -> IO[bytes]:
        """Open a file that is needed once; the caller closes it.

        Raises
        ------
        NotAllowed, SourceError, FileNotFoundError
            As `read_bytes`.
        Busy
            No file descriptor is free.
        """
        return named(self._opened(path, open_regular), path)

    @contextmanager
    def folder(self, path: str) -> Iterator[int]:
        """Open a folder while the body runs, for `os.scandir`; errors as `file`."""
        fd = self._opened(path, open_folder)
        try:
            yield fd
        finally:
            os.close(fd)

    def read_bytes(self, path: str, limit: int | None = None) -> bytes:
        """Read a whole file that is needed once, without keeping it open.

        Parameters
        ----------
        path : str
            The file.
        limit : int, optional
            The largest allowed size in bytes; `max_chunk` unless given.

        Raises
        ------
        NotAllowed
            As `resolve`.
        SourceError
            The file cannot be read; the message has the system's reason.
        Oversized
            The file is larger than the limit; nothing was read.
        FileNotFoundError
            There is no such file; the caller decides whether that is an error.
        Busy
            No file descriptor is free.
        """
        fd = self._opened(path, open_regular)
        try:
            with reading(path):
                return read_all(fd, path, limit or self.max_chunk)
        finally:
            os.close(fd)

    def spared(self, work: Callable[[], T]) -> T:
        """Call `work`, which opens files; if descriptors run out, close idle files and retry.

        Raises
        ------
        Busy
            No file descriptor is free, even after the retry.
        """
        try:
            return work()
        except Busy:
            self.close()
            return work()

    def _opened(self, path: str, opened: Callable[..., int]) -> int:
        check = None if self.all_allowed else partial(self._check, path)
        try:
            try:
                return opened(path, check)
            except Busy:
                self.close()
                return opened(path, check)
        except OSError as error:
            # Do not reveal whether a file outside the allowed folders exists.
            if check is not None:
                self.resolve(path)
            if isinstance(error, FileNotFoundError):
                raise
            raise as_error(error, path) from error

    @contextmanager
    def open(self, path: str) -> Iterator[tuple[int, Stamp]]:
        """Yield an open file for positioned reads, shared by any number of threads.

        Yields
        ------
        fd : int
            A file descriptor for `read_exactly` or `os.preadv`; never seek in it.
        stamp : Stamp
            The state of the file when it was opened.

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
        # A link that leads elsewhere by now has another stamp too, so a path is checked only when
        # its file is opened.
        stamp = stamp_of(path)
        with self._lock:
            handle = self._handles.get(path)
            if handle is not None and handle.stamp == stamp:
                self._handles.move_to_end(path)
                handle.users += 1
                return handle
        # Outside the lock: a disk that hangs blocks only the threads that read from it.
        try:
            handle = _Handle(path, self._opened(path, open_regular))
        except FileNotFoundError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror}.") from error
        with self._lock:
            replaced = self._handles.pop(path, None)
            if replaced is not None:
                self._close(replaced)
            self._handles[path] = handle
            handle.users += 1
            self._shrink()
            return handle

    def _release(self, handle: _Handle) -> None:
        with self._lock:
            handle.users -= 1
            if handle.users == 0 and self._handles.get(handle.path) is not handle:
                os.close(handle.fd)

    def _shrink(self) -> None:
        while len(self._handles) > self.limit:
            self._close(self._handles.popitem(last=False)[1])

    def _close(self, handle: _Handle) -> None:
        """Close a file that is no longer listed; if it is in use, `_release` does so later."""
        if handle.users == 0:
            os.close(handle.fd)

    def close(self) -> None:
        """Close every file that no thread is reading from."""
        with self._lock:
            _close_idle(self._handles)


def _close_idle(handles: OrderedDict[str, _Handle]) -> None:
    """Clear the table of open files, and close those that no thread is reading from."""
    while handles:
        _, handle = handles.popitem()
        if handle.users == 0:
            os.close(handle.fd)


def _ends(path: str) -> Iterator[int]:
    """Return the index of each slash in a path."""
    return (place for place, letter in enumerate(path) if letter == "/")


def _handles() -> int:
    """Return how many idle files may stay open, from the process's limit (``ulimit -n``)."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return HANDLES if limit == resource.RLIM_INFINITY else min(HANDLES, max(1, limit // 4))
