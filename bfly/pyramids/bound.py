"""A folder that does not outgrow a number of bytes, whoever else writes to it."""

from __future__ import annotations

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
        May not exist yet. Only files in folders named ``c`` are removed: the chunks of zarr.
    size : int
        Bytes.
    """

    def __init__(self, folder: str, size: int) -> None:
        self._folder = folder
        self._size = size
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
        """Look now, and remove what is too much."""
        files = sorted(_chunks(self._folder))
        total = sum(size for _, size, _ in files)
        if total <= self._size:
            return
        for _, size, path in files:
            try:
                os.unlink(path)
            except OSError as error:
                log.debug("%s", error)  # Another process was faster.
            total -= size
            if total <= self._size * LEFT:
                break
        log.info("%s holds %d bytes after removing what was not used", self._folder, total)


def _chunks(folder: str) -> Iterator[tuple[float, int, str]]:
    """List all chunks: when each was last used, its bytes, its path."""
    for path, _, names in os.walk(folder):
        if f"{os.sep}c{os.sep}" not in path[len(folder) :] + os.sep:
            continue
        for name in names:
            file = os.path.join(path, name)
            try:
                status = os.stat(file)
            except OSError:
                continue
            # Many disks note a use only once a day, which is enough.
            used = max(status.st_atime, status.st_mtime)
            yield used, status.st_blocks * 512, file
