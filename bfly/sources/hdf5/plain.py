"""Quick looks at an HDF5 file: most have one dataset, ``main``, and nothing to choose from.

A scan of thousands of files looks at each. The library's lower interface takes a third of the time
of the usual one.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import h5py

from bfly.errors import ButterflyError
from bfly.sources.hdf5.axes import NAMING
from bfly.storage.files import regular
from bfly.storage.opening import fd_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bfly.storage.files import Files

__all__ = ["MAIN", "has_any", "has_signature", "is_plain", "opened_low"]

MAIN = "main"
"""The dataset that is served by default."""

_AXES = [name.encode() for name in NAMING]

MAGIC = b"\x89HDF\r\n\x1a\n"

_ACCESS = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
_ACCESS.set_file_locking(False, True)


class _Last(threading.local):
    """The file that `is_plain` was asked about last in the thread, and the answer."""

    key: tuple[str, Any] | None = None
    is_plain = False


_LAST = _Last()


def has_signature(path: str) -> bool:
    """Return whether a file is HDF5; raise `OSError` if it cannot be read."""
    with regular(path) as file:
        # A user block of 512 bytes times a power of two may precede the signature.
        starts = [0] + [512 << i for i in range(8)]
        return any(file.seek(at) == at and file.read(8) == MAGIC for at in starts)


def is_plain(files: Files, path: str) -> bool:
    """Return whether all of a file is a dataset ``main`` with three axes without names.

    False if the file cannot be opened: then what opens it states the reason. A scan asks twice, one
    after the other: a file that has not changed since the last call is not opened again.
    """
    try:
        with files.open(path) as (_, stamp):
            key = path, stamp
    except (ButterflyError, OSError):
        return False
    if _LAST.key != key:
        _LAST.key, _LAST.is_plain = key, _is_true(_has_only_main, files, path)
    return _LAST.is_plain


def has_any(files: Files, path: str, names: Iterable[str]) -> bool:
    """Return whether the root of a file has a link of one of the names; otherwise as `is_plain`."""

    def check(file: Any) -> bool:
        # Links are those of a group for as long as it is open.
        root = h5py.h5g.open(file, b"/")
        return any(root.links.exists(name.encode()) for name in names)

    return _is_true(check, files, path)


def _is_true(check: Callable[[Any], bool], files: Files, path: str) -> bool:
    """Return whether a check of an open file holds; False if the file cannot be opened."""
    try:
        with files.open(path) as (fd, _), opened_low(fd) as file:
            return check(file)
    except (ButterflyError, OSError, RuntimeError, KeyError, TypeError, ValueError):
        return False


@contextmanager
def opened_low(fd: int) -> Iterator[Any]:
    """Open a file, by its descriptor, with the library's lower interface while the body runs."""
    file = h5py.h5f.open(fd_path(fd).encode(), h5py.h5f.ACC_RDONLY, _ACCESS)
    try:
        yield file
    finally:
        file.close()


def _has_only_main(file: Any) -> bool:
    root = h5py.h5g.open(file, b"/")
    name = MAIN.encode()
    if len(root) != 1 or root.links.get_info(name).type != h5py.h5l.TYPE_HARD:
        return False
    main = h5py.h5d.open(root, name)
    named = h5py.h5a.get_num_attrs(main) and any(h5py.h5a.exists(main, each) for each in _AXES)
    return not named and main.rank == 3
