"""Opening of files so that the file that is read is the one that was checked.

A path that is checked and then opened may lead elsewhere by the time it is opened. Therefore the
file is looked up first (``O_PATH``, which reads nothing). Then its real path is checked, and that
same file is opened for reading.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from bfly.errors import Busy, ButterflyError, SourceChanged, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable

    Check = Callable[[str], None]

__all__ = [
    "as_error",
    "check_kind",
    "fd_path",
    "open_folder",
    "open_regular",
    "trail_of",
    "with_reason",
]

SCARCE = (errno.EMFILE, errno.ENFILE)
"""Error numbers: the process, or the machine, has no free file descriptor."""

HAS_PROC = os.path.exists("/proc/self/fd") and hasattr(os, "O_PATH")
"""Whether the path of an open file can be read; elsewhere paths are walked step by step."""

READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
"""Flags with which neither a FIFO without a writer nor a terminal blocks the opening thread."""

FOLDER = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY

GONE = " (deleted)"
"""Suffix that Linux adds to the path of an open file that was deleted or replaced."""

TRIES = 8
"""Look-ups of a file that is replaced each time before it is open."""

LINKS = 40
"""Links that one path may lead through, as on Linux."""

KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_regular(path: str, check: Check | None = None) -> int:
    """Open a regular file for positioned reads; the caller closes it.

    Parameters
    ----------
    path : str
        The file; links in it are followed.
    check : callable, optional
        Called with the real path of the file before the file can be read.

    Raises
    ------
    OSError
        There is no such file, it is not a regular one, or it cannot be opened.
    Busy
        The process or the machine has no free file descriptor.
    """
    return _opened(path, READ, check)


def open_folder(path: str, check: Check | None = None) -> int:
    """Open a folder for listing; otherwise as `open_regular`."""
    return _opened(path, FOLDER, check)


def _opened(path: str, flags: int, check: Check | None) -> int:
    try:
        if check is None:
            return _open_anywhere(path, flags)
        if not HAS_PROC:
            return _open_step_by_step(path, flags, check)
        for _ in range(TRIES):
            handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
            try:
                real = _place_of(handle)
                if real is not None:
                    check(real)
                    check_kind(os.fstat(handle).st_mode, flags)
                    return os.open(fd_path(handle), flags)
            finally:
                os.close(handle)
    except OSError as error:
        if error.errno in SCARCE:
            raise as_error(error, path) from error
        raise
    except ValueError as error:
        raise OSError(errno.EINVAL, f"no file can have this name ({error})") from error
    raise SourceChanged(f"{path} changed on disk while it was opened.")


def _open_anywhere(path: str, flags: int) -> int:
    """Open a file without a check of its real path, in fewer system calls."""
    try:
        fd = os.open(path, flags)
    except OSError:
        # A socket cannot be opened at all.
        check_kind(os.stat(path).st_mode, flags)
        raise
    try:
        check_kind(os.fstat(fd).st_mode, flags)
    except OSError:
        os.close(fd)
        raise
    return fd


def fd_path(fd: int) -> str:
    """Return a path by which a library can open a file that is already open."""
    return f"/proc/self/fd/{fd}" if HAS_PROC else f"/dev/fd/{fd}"


def _place_of(fd: int) -> str | None:
    """Return the real path of an open file; None if it was deleted or replaced."""
    place = os.readlink(fd_path(fd))
    if place.endswith(GONE):
        # A file's own name may end like this.
        try:
            there = os.lstat(place)
        except OSError:
            return None
        return place if os.path.samestat(there, os.fstat(fd)) else None
    return place


def check_kind(mode: int, flags: int) -> None:
    """Raise `OSError` unless a mode is a regular file's, or a folder's if `flags` ask for one."""
    if flags & os.O_DIRECTORY:
        if not stat.S_ISDIR(mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    elif stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    elif not stat.S_ISREG(mode):
        kind = KINDS.get(stat.S_IFMT(mode), "something else")
        raise OSError(errno.EINVAL, f"it is {kind}, not a regular file")


def _open_step_by_step(path: str, flags: int, check: Check) -> int:
    """Open a file on systems where the path of an open file cannot be read.

    Links are resolved first. Along the real path no link is followed, so a link that replaced
    a folder meanwhile is an error.
    """
    real, _ = trail_of(path)
    check(real)
    *folders, name = real.split("/")[1:]
    at = os.open("/", FOLDER)
    try:
        for folder in folders:
            inner = os.open(folder, FOLDER | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = inner
        check_kind(os.stat(name or ".", dir_fd=at, follow_symlinks=False).st_mode, flags)
        return os.open(name or ".", flags | os.O_NOFOLLOW, dir_fd=at)
    finally:
        os.close(at)


def trail_of(path: str) -> tuple[str, list[str]]:
    """Resolve a path as the system does; each part is read once, since links may change meanwhile.

    Returns
    -------
    real : str
        The path without links. If links form a cycle, it ends at one of them.
    folders : list of str
        The real path of each folder in which a part of the path was looked up. While none of
        them changes, the path resolves to the same file.
    """
    rest = os.path.join(os.getcwd(), path).split("/")[::-1]
    real, folders, links = "/", dict[str, None](), 0
    while rest:
        name = rest.pop()
        if name in ("", "."):
            continue
        if name == "..":
            real = os.path.dirname(real)
            continue
        folders[real] = None
        place = os.path.join(real, name)
        try:
            target = os.readlink(place)
        except OSError:
            target = ""
        links += bool(target)
        if not target or links > LINKS:
            real = place
            continue
        if target.startswith("/"):
            real = "/"
        rest.extend(target.split("/")[::-1])
    return real, list(folders)


def as_error(error: OSError, path: str) -> ButterflyError:
    """Return an error of the system as one of Butterfly that names the file."""
    if error.errno in SCARCE:
        name = errno.errorcode[error.errno]
        return Busy(f"{path} cannot be opened now: {name}, {os.strerror(error.errno)}.")
    return SourceError(f"{path} cannot be read: {error.strerror}.")


def with_reason(message: str) -> ButterflyError:
    """Return the error for a library's message: `Busy` if file descriptors ran out."""
    for number in SCARCE:
        if os.strerror(number) in message:
            return Busy(f"{message.rstrip('.')} ({errno.errorcode[number]}).")
    return SourceError(message)
