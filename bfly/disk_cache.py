"""Bytes from far away, kept in a folder that processes share.

An entry is a file, written under another name and then renamed, with a checksum before its bytes:
a crash while it is written leaves nothing that would be taken for an entry, and of two writers
the last one stays. Reading an entry sets its time; where the folder has grown too large, the
entries that were read longest ago are deleted, by one process at a time.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import xxhash

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DiskCache"]

log = logging.getLogger(__name__)

SHRUNK = 0.9
"""To which part of its size a full folder is brought back."""

BETWEEN_LOOKS = 1 / 16
"""A process looks how full the folder is whenever it has written this part of its size."""


class DiskCache:
    """A bounded cache of bytes by name.

    Parameters
    ----------
    folder : str
        Made where it is missing. Nothing else may lie in it.
    size : int
        Bytes, which the files may pass by a sixteenth for each process.
    """

    def __init__(self, folder: str, size: int) -> None:
        self.folder = folder
        self.size = size
        self._lock = threading.Lock()
        self._written = size  # so that the first look comes at once

    def get(self, name: str) -> bytes | None:
        """Give what is kept under a name, None where nothing whole is."""
        path = self._path(name)
        try:
            with open(path, "rb") as file:
                digest, data = file.read(16), file.read()
            os.utime(path)
        except OSError:
            return None
        return data if xxhash.xxh3_128_digest(data) == digest else None

    def set(self, name: str, data: bytes) -> None:
        """Keep bytes under a name; a full or missing disk is told in the log, no more."""
        path = self._path(name)
        draft = f"{path}.{os.getpid()}.{threading.get_ident()}.tmp"
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(draft, "wb") as file:
                file.write(xxhash.xxh3_128_digest(data))
                file.write(data)
            os.replace(draft, path)
        except OSError as error:
            log.warning("%s cannot keep a chunk: %s.", self.folder, error.strerror)
            return
        with self._lock:
            self._written += len(data)
            due = self._written > self.size * BETWEEN_LOOKS
            if due:
                self._written = 0
        if due:
            with suppress(OSError):
                self._shrink()

    def _path(self, name: str) -> str:
        digest = xxhash.xxh3_128_hexdigest(name.encode())
        return os.path.join(self.folder, digest[:2], digest[2:])

    def _shrink(self) -> None:
        """Delete what was read longest ago, unless another process is at it."""
        with open(os.path.join(self.folder, "lock"), "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return
            entries = sorted(self._entries())
            left = sum(size for _, size, _ in entries)
            if left <= self.size:
                return
            for _, size, path in entries:
                if left <= self.size * SHRUNK:
                    break
                try:
                    os.unlink(path)
                except OSError:
                    continue
                left -= size

    def _entries(self) -> Iterator[tuple[float, int, str]]:
        """Give time, size and path of every file, drafts of crashed processes among them."""
        for folder, _, names in os.walk(self.folder):
            for name in names:
                path = os.path.join(folder, name)
                try:
                    status = os.stat(path)
                except OSError:
                    continue
                if name != "lock":
                    yield status.st_mtime, status.st_size, path
