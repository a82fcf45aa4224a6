"""Files of rows: sorted, written once, read in parts."""

from __future__ import annotations

import os
from contextlib import contextmanager
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from bfly.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["RowFile", "Sink", "writing"]


class Sink(Protocol):
    """What takes rows in their order."""

    def __call__(self, rows: NDArray[Any]) -> None:
        """Take the next rows."""


class RowFile:
    """Rows of a fixed dtype in a file without a header.

    It may be read from many threads. The file is opened for each read, so that a file that was
    replaced or removed since is an error, and no descriptor is held.

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
        SourceError
            The file cannot be read, or is shorter than it was.
        """
        count = max(0, min(stop, self.count) - start)
        try:
            rows: NDArray[Any] = np.fromfile(
                self.path, self.dtype, count, offset=start * self.dtype.itemsize
            )
        except OSError as error:
            raise SourceError(f"{self.path} cannot be read: {error.strerror}.") from error
        if len(rows) != count:
            raise SourceError(f"{self.path} has fewer rows than the {self.count} it had.")
        return rows


@contextmanager
def writing(path: str) -> Iterator[Sink]:
    """Yield a function that takes rows; on exit, the file has them all.

    After an error or a crash there is no file, or the one that was there before.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    folder, name = os.path.split(path)
    os.makedirs(folder, exist_ok=True)
    with NamedTemporaryFile(dir=folder, prefix=f".{name}-", delete=False) as file:
        try:
            yield lambda rows: rows.tofile(file)
            file.flush()
            os.fsync(file.fileno())
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
