"""Disk cache of bytes from remote storage, in a folder that processes share.

An entry is a file: a checksum and the bytes. It is written under another name and then renamed,
so a crash leaves no partial entry, and the last of two writers wins. Reading an entry updates
its time. If the folder is too large, one process at a time deletes the least recently read
entries.
"""

from __future__ import annotations

import logging
import os
import threading

import xxhash

from bfly.storage.bounded_folder import Bound

__all__ = ["DiskCache"]

log = logging.getLogger(__name__)


class DiskCache:
    """A bounded cache of bytes by name.

    Parameters
    ----------
    folder : str
        Created if missing. It must contain nothing else.
    size : int
        Bytes. The files may exceed it by a sixteenth for each process.
    """

    def __init__(self, folder: str, size: int) -> None:
        self.folder = folder
        self._bound = Bound(folder, size)

    def get(self, name: str) -> bytes | None:
        """Return the bytes stored under a name; None if there are none, or they are damaged."""
        path = self._path(name)
        try:
            with open(path, "rb") as file:
                digest, data = file.read(16), file.read()
            os.utime(path)
        except OSError:
            return None
        return data if xxhash.xxh3_128_digest(data) == digest else None

    def set(self, name: str, data: bytes) -> None:
        """Store bytes under a name; if the disk is full or missing, only log a warning."""
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
        self._bound.add(len(data))

    def _path(self, name: str) -> str:
        digest = xxhash.xxh3_128_hexdigest(name.encode())
        return os.path.join(self.folder, digest[:2], digest[2:])
