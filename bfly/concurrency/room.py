"""Memory for decompressing large chunks: threads wait until it is free."""

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
"""Bytes. Smaller chunks are not counted: each thread may decompress one at any time."""

PATIENCE = 30.0
"""Seconds after which a waiting thread gives up: more than the largest chunks take."""


class Room:
    """Bytes that threads share; a single thread may take more than the total.

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
        """Hold bytes while the body runs; do not wait if this thread already holds some.

        Raises
        ------
        Busy
            Other threads did not release enough bytes within `PATIENCE` seconds.
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
