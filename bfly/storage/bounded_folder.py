"""A folder that does not outgrow a number of bytes, whoever else writes to it."""

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
"""The part of the size that is left after a removal, so that the next one is not soon."""

LOOKS = 16
"""How often the folder is looked at while as many bytes are written as it may hold."""


class Bound:
    """Removes what was not used for longest once there is too much.

    Each process looks only now and then, so the folder may exceed its size by a sixteenth for
    each process that writes.

    Parameters
    ----------
    folder : str
        May not exist yet.
    size : int
        Bytes.
    below : str, optional
        Only files below folders of this name may go; all unless given.
    """

    def __init__(self, folder: str, size: int, below: str = "") -> None:
        self._folder = folder
        self._size = size
        self._below = below
        self._written = size  # The first write looks.
        self._lock = threading.Lock()

    def add(self, written: int) -> None:
        """Take note of bytes that are being written, and look if they were many."""
        with self._lock:
            self._written += written
            if self._written < self._size // LOOKS:
                return
            self._written = 0
        self.trim()

    def trim(self) -> None:
        """Look now, and remove what is too much, unless another process is at it."""
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
        """List what may go: when each was last used, its bytes, its path."""
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
                # Many disks note a use only once a day, which is enough.
                used = max(status.st_atime, status.st_mtime)
                yield used, status.st_size, file
