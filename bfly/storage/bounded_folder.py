"""A folder bounded in bytes, which several processes may write to."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Bound"]

log = logging.getLogger(__name__)

LEFT = 0.9
"""Share of the size to which a removal shrinks the folder, so that removals are rare."""

LOOKS = 16
"""Scans of the folder while as many bytes are written as it may hold."""


class Bound:
    """Removes the least recently used files once the folder is larger than its size.

    Each process scans the folder only after it wrote a sixteenth of the size. The folder may
    therefore exceed its size by a sixteenth per process.

    Parameters
    ----------
    folder : str
        It need not exist yet.
    size : int
        Bytes.
    below : str, optional
        Remove only files below folders of this name; by default, any file.
    """

    def __init__(self, folder: str, size: int, below: str = "") -> None:
        self._folder = folder
        self._size = size
        self._below = below
        self._written = size  # so that the first write scans the folder
        self._lock = threading.Lock()

    def add(self, written: int) -> None:
        """Count bytes that are being written, and trim the folder after many of them."""
        with self._lock:
            self._written += written
            if self._written < self._size // LOOKS:
                return
            self._written = 0
        self.trim()

    def trim(self) -> None:
        """Scan the folder now and remove the excess, unless another process is doing so."""
        try:
            folder = os.open(self._folder, os.O_RDONLY)
        except OSError as error:
            log.info("%s holds nothing that could go: %s", self._folder, error)
            return
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._remove()
        except BlockingIOError:
            log.debug("Another process removes from %s", self._folder)
        finally:
            os.close(folder)

    def _remove(self) -> None:
        files = sorted(self._files())
        total = sum(size for _, size, _ in files)
        if total <= self._size:
            return
        for _, size, path in files:
            if total <= self._size * LEFT:
                break
            try:
                os.unlink(path)
            except OSError as error:
                log.warning("%s cannot be removed: %s", path, error)
            else:
                total -= size
        log.info("%s holds %d bytes after removing what was not used", self._folder, total)

    def _files(self) -> Iterator[tuple[float, int, str]]:
        """Yield the files that may be removed: time of last use, bytes, path."""
        for path, _, names in os.walk(self._folder):
            folders = os.path.relpath(path, self._folder).split(os.sep)
            if self._below and self._below not in folders:
                continue
            for name in names:
                file = os.path.join(path, name)
                try:
                    status = os.stat(file)
                except OSError:
                    continue
                # Many file systems update atime only once a day (relatime), which is enough.
                used = max(status.st_atime, status.st_mtime)
                yield used, status.st_size, file
