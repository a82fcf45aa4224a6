"""Check that the files of an open SQLite database are still those that were opened.

A file that is deleted or replaced while open can be read and written as before, but is lost when
closed. Other processes never see its commits. SQLite does not check for this.
"""

from __future__ import annotations

import os
import threading

from bfly.errors import DatabaseError

__all__ = ["FileState", "identity"]


class FileState:
    """Identity of the files of a database when opened: their devices and inodes.

    Parameters
    ----------
    name : str
        Name of the file in messages.
    place : str
        Its absolute path.
    """

    def __init__(self, name: str, place: str) -> None:
        self._name, self._place = name, place
        real = os.path.realpath(place)
        self._beside = f"{real}-wal", f"{real}-shm"
        self._files: list[tuple[int, int] | None] = []
        self._size = 0
        self._looking = threading.Lock()

    def opened(self, before: tuple[int, int] | None) -> None:
        """Record the files of the first connection, or check those of a later one.

        Parameters
        ----------
        before : tuple of int
            `identity` of the file before the connection was opened.

        Raises
        ------
        DatabaseError
            The connection has other files.
        """
        with self._looking:
            files = self._now()
            if not self._files:
                self._files = [before, *files[1:]]
            self._compare(files)

    def forget(self) -> None:
        """Forget the files once all connections are closed."""
        with self._looking:
            self._files, self._size = [], 0

    def check(self) -> None:
        """Check that the files are those that were opened.

        Raises
        ------
        DatabaseError
            The file or its log was deleted, replaced or truncated.
        """
        with self._looking:
            if self._files:
                self._compare(self._now())

    def _now(self) -> list[tuple[int, int] | None]:
        try:
            status = os.stat(self._place)
        except OSError as error:
            raise self._error(f"is gone ({error.strerror})") from error
        # A checkpoint never shrinks the file, and VACUUM is never run.
        if status.st_size < self._size:
            raise self._error(f"was cut from {self._size} to {status.st_size} bytes")
        self._size = status.st_size
        return [(status.st_dev, status.st_ino), *map(identity, self._beside)]

    def _compare(self, files: list[tuple[int, int] | None]) -> None:
        for old, new, ending in zip(self._files, files, ("", "-wal", "-shm"), strict=True):
            if old != new:
                raise self._error("was replaced" if new else "was deleted or moved", ending)

    def _error(self, what: str, ending: str = "") -> DatabaseError:
        return DatabaseError(
            f"{self._name}{ending} {what} while Butterfly had it open, so no change can "
            "be saved. End Butterfly, restore the right file, and start it again."
        )


def identity(path: str) -> tuple[int, int] | None:
    """Return the device and inode of a file; None if the file does not exist."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
