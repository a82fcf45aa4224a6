"""Files that are compressed as one stream, of which no part can be read alone.

Such a file is decompressed once, into a temporary file without a name. Later reads use that
file. All temporary files share a limit on disk, and each needs the memory of one piece.
"""

from __future__ import annotations

import bz2
import os
import tempfile
import threading
import weakref
import zipfile
from collections import OrderedDict
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, cast

import numpy as np
from isal import igzip

from bfly.concurrency.admission import check_wanted
from bfly.concurrency.workers import SingleFlight
from bfly.errors import Busy, SourceError
from bfly.sources.shared.images import naming
from bfly.sources.shared.text_voxels import TextVoxels
from bfly.storage.opening import fd_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bfly.storage.files import Stamp

__all__ = ["LIMIT", "TEXT", "ZIP", "Unpacked", "packing_of", "unpacking"]

LIMIT = 16 << 30
"""Bytes of all temporary files together, and thus of the largest file that can be served."""

FILES = 256
"""Most temporary files that are kept, each of which takes a descriptor."""

TEXT = "text "
"""Packing of voxels that are numbers in text, before their dtype."""

PIECE = 4 << 20
"""Bytes that are decompressed at once."""

ZIP = "zip"
"""Compression of an entry of a zip archive, which starts at the entry's header."""

_MAGICS = {b"\x1f\x8b": "gzip", b"BZh": "bzip2"}


def packing_of(head: bytes) -> str | None:
    """Return the compression of a file, by its first bytes: gzip, bzip2 or None."""
    return next((name for magic, name in _MAGICS.items() if head.startswith(magic)), None)


def unpacking(file: IO[bytes], packing: str | None) -> IO[bytes]:
    """Return a file that reads an open one, decompressed, from its position on.

    Parameters
    ----------
    file : file object
        The open file.
    packing : str, optional
        As `packing_of` returns it; or ``text`` and a dtype, for voxels that are numbers in text.
    """
    if packing is None:
        return file
    if packing.startswith(TEXT):
        return cast("IO[bytes]", TextVoxels(file, np.dtype(packing.removeprefix(TEXT))))
    if packing == ZIP:
        start = file.tell()
        archive = zipfile.ZipFile(file)
        return archive.open(next(e for e in archive.infolist() if e.header_offset == start))
    return igzip.IGzipFile(fileobj=file) if packing == "gzip" else bz2.BZ2File(file)


class Unpacked:
    """Temporary files of a process; the least recently used are evicted first.

    Parameters
    ----------
    limit : int
        Bytes of all files together.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self._files: OrderedDict[tuple[str, int, Stamp], _Temporary] = OrderedDict()
        self._lock = threading.Lock()
        self._unpacking: SingleFlight[_Temporary] = SingleFlight()
        self._written = 0

    @contextmanager
    def open(
        self, path: str, fd: int, stamp: Stamp, start: int, packing: str, size: int
    ) -> Iterator[int]:
        """Yield the descriptor of a file with the first `size` decompressed bytes of another.

        Parameters
        ----------
        path, fd, stamp
            The compressed file, open, and its state.
        start : int
            Offset of its compressed data, in bytes.
        packing : str
            Its compression, see `packing_of`; or `ZIP`.
        size : int
            Bytes after decompression.

        Raises
        ------
        SourceError
            The file is damaged, holds less, or exceeds the limit.
        Busy
            It does not fit beside the files that are being decompressed now.
        """
        if size > self.limit:
            raise SourceError(
                f"{path} holds {size} bytes in one piece of {packing}, of which no part can be "
                f"read alone; up to {self.limit} are unpacked. Store it without compression."
            )
        key = (path, start, stamp)

        def unpack() -> _Temporary:
            file = self._find(key)
            if file is None:
                with self._room(path, size):
                    file = _Temporary(path, fd, start, packing, size)
                with self._lock:
                    self._files[key] = file
            return file

        # The local reference keeps the file on disk, even after its eviction.
        temporary = self._find(key) or self._unpacking.run(f"{key}", unpack)
        yield temporary.fd

    def _find(self, key: tuple[str, int, Stamp]) -> _Temporary | None:
        with self._lock:
            file = self._files.get(key)
            if file is not None:
                self._files.move_to_end(key)
            return file

    @contextmanager
    def _room(self, path: str, size: int) -> Iterator[None]:
        """Reserve room for a file of `size` bytes while it is being written."""
        with self._lock:
            while self._files and (self._taken() + size > self.limit or len(self._files) >= FILES):
                self._files.popitem(last=False)
            if self._taken() + size > self.limit:
                raise Busy(
                    f"{path} has {size} bytes to unpack. Of {self.limit} bytes for all files, "
                    f"{self._written} are being written; try again in some seconds."
                )
            self._written += size
        try:
            yield
        finally:
            with self._lock:
                self._written -= size

    def _taken(self) -> int:
        return self._written + sum(file.size for file in self._files.values())


class _Temporary:
    """Decompressed content in a file without a name, which is closed with the last reference."""

    def __init__(self, path: str, fd: int, start: int, packing: str, size: int) -> None:
        self.size = size
        folder = tempfile.gettempdir()
        try:
            with tempfile.TemporaryFile(dir=folder) as file:
                self._fill(file, path, fd, start, packing)
                file.flush()
                self.fd = os.dup(file.fileno())
        except OSError as error:
            raise SourceError(
                f"{path} cannot be unpacked into {folder}: {error.strerror}."
            ) from error
        weakref.finalize(self, os.close, self.fd)

    def _fill(self, file: IO[bytes], path: str, fd: int, start: int, packing: str) -> None:
        left = self.size
        # Open the file again: the caller's descriptor must keep its position.
        with open(fd_path(fd), "rb") as packed, naming(path):
            packed.seek(start)
            with unpacking(packed, packing) as plain:
                while left and (piece := plain.read(min(PIECE, left))):
                    check_wanted()
                    file.write(piece)
                    left -= len(piece)
                # The checksum is verified only by a read past the last byte.
                plain.read(1)
        if left:
            raise SourceError(
                f"{path} is truncated: {self.size} bytes are expected in it, "
                f"{self.size - left} are there."
            )
