"""Reader of a table file: detects the format and yields the columns in batches."""

from __future__ import annotations

import io
import os
from typing import IO, TYPE_CHECKING, Any

from isal import igzip
from typing_extensions import override

from bfly.errors import ConfigError, MissingLibrary, SourceChanged, SourceError
from bfly.storage.files import stamp_of
from bfly.tables.headers import MAGIC
from bfly.tables.json_files import read_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bfly.storage.files import Files
    from bfly.tables.columns import Columns
    from bfly.tables.table_source import TableSource

__all__ = ["batches"]


def batches(
    source: TableSource, files: Files, progress: Callable[[float], None] | None = None
) -> Iterator[Columns]:
    """Read a table.

    Parameters
    ----------
    source : TableSource
        The file and its configuration.
    files : Files
        Access to the allowed folders.
    progress : callable, optional
        Called now and then, from any thread, with the part that is done, from 0 to 1.

    Yields
    ------
    Columns
        About `ROWS` rows, all with the same names and dtypes.

    Raises
    ------
    NotAllowed
        The file is outside the allowed folders.
    SourceError
        The file cannot be read or has bad rows; the message names the first ten.
    SourceChanged
        The file changed while it was read.
    ConfigError
        The columns are neither named nor recognised, or named for a JSON file; or a voxel
        size is missing.
    MissingLibrary
        The file is not JSON, and pyarrow is not installed.
    """
    with files.open(source.path) as (fd, stamp):
        try:
            yield from _columns(source, _Opener(fd, progress))
        except (OSError, EOFError) as error:
            raise SourceError(f"{source.path} cannot be read: {error}.") from error
        if stamp_of(files.resolve(source.path)) != stamp:
            raise SourceChanged(f"{source.path} changed while it was read.")
    if progress is not None:
        progress(1.0)


def _columns(source: TableSource, opener: _Opener) -> Iterator[Columns]:
    """Detect the format of a file from its first bytes, and read it."""
    head = opener.open().read(64)
    root = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1].decode("latin-1")
    if root in ("{", "["):
        if source.columns or source.units == "nm" or source.skip_bad_rows:
            raise ConfigError(
                f"{source.path} is a JSON file, which has fixed columns and units and no "
                f"skipped rows; allowed in {source.table}s is only its path."
            )
        yield from read_json(opener.open(), source.path, source.table, root)
        return
    try:
        yield from _rows(source, opener, head)
    except (ConfigError, MissingLibrary, SourceError) as error:
        if source.columns or not source.path.endswith(".json"):
            raise
        raise SourceError(f"{source.path} is not JSON. As a table: {error}") from error


def _rows(source: TableSource, opener: _Opener, head: bytes) -> Iterator[Columns]:
    """Read a table that is not JSON."""
    try:
        from bfly.tables.arrow_files import ArrowFile
        from bfly.tables.rows import rows_of
    except ImportError as error:
        raise MissingLibrary(
            f"{source.path} needs a library that is not installed ({error}): "
            "pip install 'bfly[tables]'."
        ) from error
    kind = next((kind for magic, kind in MAGIC.items() if head.startswith(magic)), "csv")
    opener.passes = 2 if kind == "csv" else 1  # the first pass detects the types
    yield from rows_of(source, ArrowFile(opener.open, kind, source.path))


class _Opener:
    """Opener of a borrowed file, decompressed, any number of times; reports progress."""

    def __init__(self, fd: int, progress: Callable[[float], None] | None) -> None:
        self.fd, self.progress, self.passes = fd, progress, 1
        self.size = os.fstat(fd).st_size
        self.zipped = os.pread(fd, 2, 0) == b"\x1f\x8b"
        self._read = 0
        self._told = 0.0

    def open(self) -> IO[bytes]:
        """Open the file at its start."""
        file = io.BufferedReader(_File(self), 1 << 20)
        return igzip.IGzipFile(fileobj=file) if self.zipped else file

    def count(self, size: int) -> None:
        """Count bytes that were read, and report progress."""
        self._read += size
        part = min(self._read / max(self.passes * self.size, 1), 1.0)
        if self.progress is not None and part >= self._told + 0.001:
            self._told = part
            self.progress(part)


class _File(io.RawIOBase):
    """View of a borrowed file with its own read position."""

    def __init__(self, opener: _Opener) -> None:
        self._opener = opener
        self._place = 0

    @override
    def readable(self) -> bool:
        return True

    @override
    def seekable(self) -> bool:
        return True

    @override
    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._opener.size}
        self._place = start[whence] + offset
        return self._place

    def readinto(self, buffer: Any, /) -> int:
        """Fill a buffer up to the end of the file."""
        size = os.preadv(self._opener.fd, [buffer], self._place)
        self._place += size
        self._opener.count(size)
        return size
