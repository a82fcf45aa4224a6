"""Stamps, which differ between any two states of a file."""

from __future__ import annotations

import os
import stat

from bfly.storage.opening import check_kind
from bfly.storage.reads import reading

__all__ = ["Stamp", "seen_at", "stamp_from", "stamp_of", "stamp_to_read"]

Stamp = tuple[int, int, int, int] | None
"""Modification time in ns, size, inode and change time (ctime) in ns; None for a missing file.

A program that writes into a file may set its modification time back, but not its change time.
"""


def stamp_of(path: str) -> Stamp:
    """Return the stamp of the file at a path; None if there is none."""
    try:
        return stamp_from(os.stat(path))
    except (OSError, ValueError):
        return None


def stamp_to_read(path: str) -> Stamp:
    """Return a file's stamp as `stamp_of`, before a library opens the file by its name.

    Raises
    ------
    SourceError
        It is not a regular file: the library might block on it.
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(status.st_mode):
        with reading(path):
            check_kind(status.st_mode, os.O_RDONLY)
    return stamp_from(status)


def seen_at(path: str) -> tuple[Stamp, bool]:
    """Return the stamp at a path, and whether it is a link, in one system call.

    The stamp of a link is its own, not that of its target.
    """
    try:
        status = os.lstat(path)
    except (OSError, ValueError):
        return None, False
    return stamp_from(status), stat.S_ISLNK(status.st_mode)


def stamp_from(status: os.stat_result) -> Stamp:
    """Return the stamp of a file from its `os.stat` result."""
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_ctime_ns
