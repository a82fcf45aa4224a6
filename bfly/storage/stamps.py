"""What tells one state of a file from another."""

from __future__ import annotations

import os
import stat

from bfly.storage.opening import check_kind
from bfly.storage.reads import reading

__all__ = ["Stamp", "seen_at", "stamp_from", "stamp_of", "stamp_to_read"]

Stamp = tuple[int, int, int, int] | None
"""Modification time in ns, size, inode and time of change in ns; None for a file that is not there.

A program that writes into a file may set its modification time back, but not its time of change.
"""


def stamp_of(path: str) -> Stamp:
    """Give what tells one state of a file from another, or None where there is no file."""
    try:
        return stamp_from(os.stat(path))
    except (OSError, ValueError):
        return None


def stamp_to_read(path: str) -> Stamp:
    """Give a file's stamp as `stamp_of`, before a library opens the file by its name.

    Raises
    ------
    SourceError
        It is no regular file: the library might wait for it for ever.
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
    """Give what is at a path, as `stamp_of` gives it, and whether it is a link; in one look.

    The stamp of a link is its own, not that of the file where it leads.
    """
    try:
        status = os.lstat(path)
    except (OSError, ValueError):
        return None, False
    return stamp_from(status), stat.S_ISLNK(status.st_mode)


def stamp_from(status: os.stat_result) -> Stamp:
    """Return the stamp of a file from what the system says of it."""
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_ctime_ns
