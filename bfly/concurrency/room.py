"""Room in memory for large chunks: threads that unpack them wait for each other."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from bfly.errors import Busy

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SMALL", "Room"]

SMALL = 16 << 20
"""Bytes: of smaller chunks every thread may unpack one, without a look at the others."""

PATIENCE = 30.0
"""Seconds after which a thread that waits for room gives up; the largest chunks take less."""


class Room:
    """A number of bytes that threads share; one thread alone may take more than there are.

    Parameters
    ----------
    total : int
        Bytes.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._taken = 0
        self._changed = threading.Condition()
        self._own = threading.local()

    @contextmanager
    def taking(self, nbytes: int) -> Iterator[None]:
        """Hold bytes while a chunk is unpacked; at once if the thread holds some already.

        Raises
        ------
        Busy
            Other threads did not finish in time.
        """
        if nbytes <= SMALL or getattr(self._own, "holds", False):
            yield
            return
        self._wait(nbytes)
        self._own.holds = True
        try:
            yield
        finally:
            self._own.holds = False
            with self._changed:
                self._taken -= nbytes
                self._changed.notify_all()

    def _wait(self, nbytes: int) -> None:
        end = monotonic() + PATIENCE
        with self._changed:
            while self._taken and self._taken + nbytes > self._total:
                if not self._changed.wait(end - monotonic()):
                    raise Busy(
                        f"No room for a chunk of {nbytes} bytes: {self._taken} of {self._total} "
                        "are taken by other large chunks."
                    )
            self._taken += nbytes
