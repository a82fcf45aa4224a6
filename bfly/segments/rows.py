"""Files of rows: sorted, written once, read in parts."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from tempfile import NamedTemporaryFile
from typing import IO, TYPE_CHECKING, Any, Protocol

import numpy as np

from bfly.errors import SourceChanged, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["RowFile", "Sink", "writing"]


class Sink(Protocol):
    """What takes rows in their order."""

    def __call__(self, rows: NDArray[Any]) -> None:
        """Take the next rows."""


class RowFile:
    """Rows of a fixed dtype in a file without a header.

    It may be read from many threads. The file is opened for each read, so that a file that was
    removed since is an error, and no descriptor is held.

    Parameters
    ----------
    path : str
        The file.
    dtype : numpy.dtype
        Of a row.

    Raises
    ------
    SourceError
        The file cannot be read, or ends within a row.
    """

    def __init__(self, path: str, dtype: np.dtype[Any]) -> None:
        self.path, self.dtype = path, dtype
        try:
            size = os.stat(path).st_size
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror}.") from error
        if size % dtype.itemsize:
            raise SourceError(f"{path} ends within a row: it has {size} bytes.")
        self.count = size // dtype.itemsize

    def __len__(self) -> int:
        return self.count

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return the rows from `start` up to `stop`, which is cut off at the end of the file.

        Raises
        ------
        SourceChanged
            The file was removed since.
        SourceError
            The file cannot be read, or is shorter than it was.
        """
        return self.read_spans([start], [stop])

    def read_spans(self, starts: Sequence[int], stops: Sequence[int]) -> NDArray[Any]:
        """Return the rows of several spans one behind the other; otherwise as `read`."""
        stops = [min(stop, self.count) for stop in stops]
        counts = [max(0, stop - start) for start, stop in zip(starts, stops, strict=True)]
        rows: NDArray[Any] = np.empty(sum(counts), self.dtype)
        if not len(rows):
            return rows
        target, size, at = rows.view(np.uint8).data, self.dtype.itemsize, 0
        try:
            file = os.open(self.path, os.O_RDONLY)
        except FileNotFoundError as error:
            raise SourceChanged(f"{self.path} was removed.") from error
        except OSError as error:
            raise SourceError(f"{self.path} cannot be read: {error.strerror}.") from error
        try:
            for start, count in zip(starts, counts, strict=True):
                part = target[at * size : (at + count) * size]
                _fill(file, part, start * size)
                at += count
        except OSError as error:
            raise SourceError(f"{self.path} cannot be read: {error.strerror}.") from error
        except EOFError as error:
            raise SourceError(
                f"{self.path} has fewer rows than the {self.count} it had."
            ) from error
        finally:
            os.close(file)
        return rows


def _fill(file: int, target: memoryview, place: int) -> None:
    """Read bytes from a place of a file until `target` is full; `EOFError` if there are fewer."""
    while target:
        count = os.preadv(file, [target], place)
        if not count:
            raise EOFError
        target, place = target[count:], place + count


@contextmanager
def writing(path: str, drafts: str | None = None, once: bool = False) -> Iterator[Sink]:
    """Yield a function that takes rows; on exit, the file has them all.

    After an error or a crash there is no file, or the one that was there before.

    Parameters
    ----------
    path : str
        The file.
    drafts : str, optional
        Folder on the same disk in which the file is until it is whole; its own unless given.
    once : bool
        Whether a file that another process wrote meanwhile stays.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    name = os.path.basename(path)
    drafts = drafts or os.path.dirname(path)
    for folder in (drafts, os.path.dirname(path)):
        os.makedirs(folder, exist_ok=True)
    with NamedTemporaryFile(dir=drafts, prefix=f".{name}-", delete=False) as file:
        try:
            yield lambda rows: _write(file, rows)
            file.flush()
            os.fsync(file.fileno())
            if once and os.path.exists(path):
                os.unlink(file.name)
            else:
                os.replace(file.name, path)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(file.name)
            raise


def _write(file: IO[bytes], rows: NDArray[Any]) -> None:
    # Not `tofile`, whose error does not say that the disk is full.
    file.write(np.ascontiguousarray(rows).view(np.uint8).data)
