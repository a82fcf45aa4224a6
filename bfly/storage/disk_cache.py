"""Bytes from far away, kept in a folder that processes share.

An entry is a file, written under another name and then renamed, with a checksum before its bytes:
a crash while it is written leaves nothing that would be taken for an entry, and of two writers
the last one stays. Reading an entry sets its time; where the folder has grown too large, the
entries that were read longest ago are deleted, by one process at a time.
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
        Made where it is missing. Nothing else may lie in it.
    size : int
        Bytes, which the files may pass by a sixteenth for each process.
    """

    def __init__(self, folder: str, size: int) -> None:
        self.folder = folder
        self._bound = Bound(folder, size)

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
        self._bound.add(len(data))

    def _path(self, name: str) -> str:
        digest = xxhash.xxh3_128_hexdigest(name.encode())
        return os.path.join(self.folder, digest[:2], digest[2:])
