"""Budget of memory, in bytes, that all answers in progress share."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import TYPE_CHECKING

from bfly.errors import Busy

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Budget", "Grant"]

PATIENCE = 5.0
"""Seconds that a request waits for memory before it is answered with 503: longer than a cutout of
usual size takes, and shorter than clients and proxies wait."""

SMALL = 1 / 64
"""Share of a budget up to which a request does not queue behind larger ones."""

MOST = 15 / 16
"""Share of a budget that one request is counted with at most, even if it needs more. The rest is
left to small requests such as tiles, so that they cannot delay a large request for ever."""


class Grant:
    """Bytes taken from a budget, until `release` is called or the grant is garbage-collected."""

    __slots__ = ("_budget", "nbytes")

    def __init__(self, budget: Budget, nbytes: int) -> None:
        self._budget = budget
        self.nbytes = nbytes

    def shrink(self, nbytes: int) -> None:
        """Keep `nbytes` and return the rest to the budget."""
        if nbytes < self.nbytes:
            freed, self.nbytes = self.nbytes - nbytes, nbytes
            self._budget._give_back(freed)

    def release(self) -> None:
        """Return all bytes to the budget."""
        self.shrink(0)

    def __del__(self) -> None:
        self.release()


class Budget:
    """Weighted semaphore that grants bytes of memory.

    Parameters
    ----------
    total : int
        Bytes. A request that needs more is granted nearly all of them (see `MOST`).
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.used = 0
        # Reentrant: the garbage collector may drop a grant at any point, also while granting.
        self._lock = threading.RLock()
        self._waiting: deque[tuple[int, Callable[[Grant], None]]] = deque()

    def grant(self, nbytes: int) -> Grant | None:
        """Grant bytes if they are free; return None if not, or if they would pass the queue."""
        with self._lock:
            if self._waiting and nbytes > self.total * SMALL:
                return None
            return self._granted(nbytes)

    async def reserve(self, nbytes: int) -> Grant:
        """Wait until bytes are free, in the order of the requests.

        Raises
        ------
        Busy
            They did not become free within `PATIENCE` seconds.
        """
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[Grant] = loop.create_future()

        def wake(grant: Grant) -> None:
            loop.call_soon_threadsafe(hand_over, grant)

        def hand_over(grant: Grant) -> None:
            # A grant that comes too late is dropped, which returns its bytes.
            if not turn.done():
                turn.set_result(grant)

        entry = nbytes, wake
        with self._lock:
            self._waiting.append(entry)
            self._wake()
        try:
            return await asyncio.wait_for(turn, PATIENCE)
        except TimeoutError:
            raise Busy(
                f"The answer takes {nbytes} bytes of memory, and of {self.total} for all answers "
                f"{self.used} are in use; it may be asked for again in some seconds."
            ) from None
        finally:
            with self._lock:
                if entry in self._waiting:
                    self._waiting.remove(entry)
                self._wake()

    def _granted(self, nbytes: int) -> Grant | None:
        nbytes = min(nbytes, int(self.total * MOST))
        if self.used + nbytes > self.total:
            return None
        self.used += nbytes
        return Grant(self, nbytes)

    def _give_back(self, nbytes: int) -> None:
        with self._lock:
            self.used -= nbytes
            self._wake()

    def _wake(self) -> None:
        while self._waiting and (grant := self._granted(self._waiting[0][0])) is not None:
            self._waiting.popleft()[1](grant)
