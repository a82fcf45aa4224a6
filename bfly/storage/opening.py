"""Opening a file so that what is read is what was checked.

A path that is checked and then opened may lead elsewhere by the time it is opened. Here a file is
found first (``O_PATH``, which reads nothing), then the system says where that file is, then that
very file is opened for reading.
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
"""What the system says where the process, or the machine, has no file descriptor left."""

HAS_PROC = os.path.exists("/proc/self/fd") and hasattr(os, "O_PATH")
"""Whether the system says where an open file is; elsewhere a path is walked step by step."""

READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
"""Neither a FIFO without a writer nor a terminal holds up the thread that opens it."""

FOLDER = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY

GONE = " (deleted)"
"""What Linux writes behind the path of an open file that has this path no more."""

TRIES = 8
"""How often a file is looked up that is replaced each time before it is open."""

LINKS = 40
"""How many links one path may lead through, as on Linux."""

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
        Is called with the real path of the file before the file can be read.

    Raises
    ------
    OSError
        There is no such file, it is not a regular one, or it cannot be opened.
    Busy
        The process or the machine has no file descriptor left.
    """
    return _opened(path, READ, check)


def open_folder(path: str, check: Check | None = None) -> int:
    """Open a folder, to list it; otherwise as `open_regular`."""
    return _opened(path, FOLDER, check)


def _opened(path: str, flags: int, check: Check | None) -> int:
    try:
        if check is None:
            return _open_anywhere(path, flags)
        if not HAS_PROC:
            return _open_step_by_step(path, flags, check)
        for _ in range(TRIES):
            found = os.open(path, os.O_PATH | os.O_CLOEXEC)
            try:
                real = _place_of(found)
                if real is not None:
                    check(real)
                    check_kind(os.fstat(found).st_mode, flags)
                    return os.open(fd_path(found), flags)
            finally:
                os.close(found)
    except OSError as error:
        if error.errno in SCARCE:
            raise as_error(error, path) from error
        raise
    except ValueError as error:
        raise OSError(errno.EINVAL, f"no file can have this name ({error})") from error
    raise SourceChanged(f"{path} changed on disk while it was opened.")


def _open_anywhere(path: str, flags: int) -> int:
    """Open a file that may be anywhere: in fewer calls."""
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
    """Return the path at which a library may open a file that is open here."""
    return f"/proc/self/fd/{fd}" if HAS_PROC else f"/dev/fd/{fd}"


def _place_of(fd: int) -> str | None:
    """Return the real path of an open file, None if the file has no path any more."""
    place = os.readlink(fd_path(fd))
    if place.endswith(GONE):
        # That may be the end of a file's name.
        try:
            there = os.lstat(place)
        except OSError:
            return None
        return place if os.path.samestat(there, os.fstat(fd)) else None
    return place


def check_kind(mode: int, flags: int) -> None:
    """Raise `OSError` unless a mode is that of a folder, if `flags` ask for one, or of a file."""
    if flags & os.O_DIRECTORY:
        if not stat.S_ISDIR(mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    elif stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    elif not stat.S_ISREG(mode):
        kind = KINDS.get(stat.S_IFMT(mode), "something else")
        raise OSError(errno.EINVAL, f"it is {kind}, not a regular file")


def _open_step_by_step(path: str, flags: int, check: Check) -> int:
    """Open a file where the system does not say where an open one is.

    The links are resolved first. On the way along the real path no link is followed, so that a
    link that takes the place of a folder meanwhile is an error.
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
    """Resolve a path as the system does, each part in one look: links may come and go meanwhile.

    Returns
    -------
    real : str
        The path without links. Where links lead in a circle, it ends at one of them.
    folders : list of str
        The real path of each folder in which a part of the path was looked up. While none of
        them changes, the path leads to where it leads now.
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
    """Return what the system says of a file as an error that names the file."""
    if error.errno in SCARCE:
        name = errno.errorcode[error.errno]
        return Busy(f"{path} cannot be opened now: {name}, {os.strerror(error.errno)}.")
    return SourceError(f"{path} cannot be read: {error.strerror}.")


def with_reason(message: str) -> ButterflyError:
    """Return the error for a library's message: `Busy` if it lacked file descriptors."""
    for number in SCARCE:
        if os.strerror(number) in message:
            return Busy(f"{message.rstrip('.')} ({errno.errorcode[number]}).")
    return SourceError(message)
