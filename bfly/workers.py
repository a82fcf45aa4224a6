"""Threads: one bounded pool for the process, and work that is wanted twice is done once."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["Flights", "Turns", "Workers"]

T = TypeVar("T")

PATIENCE = 0.05
"""Seconds after which a piece of work is long, and others go on beside it."""


CROWDED = 0.1
"""Seconds after an answer in which there may well be another."""


class Workers:
    """The pool in which everything runs that may wait for a disk or take long.

    Parameters
    ----------
    parallel : int, optional
        How many threads share one piece of work; the number of cores unless given.
    niceness : int
        By how much the threads stand back behind all others, as ``nice`` of Unix has it.
    """

    def __init__(self, parallel: int | None = None, niceness: int = 0) -> None:
        self.parallel = parallel or os.cpu_count() or 1
        count = 2 * self.parallel + 4
        self.executor = ThreadPoolExecutor(count, "bfly", _stand_back, (niceness,))
        self._crowded = 0.0

    def make_room(self) -> None:
        """Let no threads help each other for a while, since somebody else needs the cores."""
        self._crowded = monotonic() + CROWDED

    def each(self, work: Callable[[T], object], items: Iterable[T]) -> None:
        """Do the same work on every item, with free threads helping the caller.

        The caller works too and waits only for helpers that have begun, so that work
        may call this again from within the pool.

        Parameters
        ----------
        work : callable
            Called once with each item; what it returns is dropped.
        items : iterable
            In the order in which they are begun.
        """
        left = deque(items)
        helpers: list[Future[None]] = []

        def call_helpers() -> None:
            free = min(self.parallel - 1, len(left)) - sum(not each.done() for each in helpers)
            if free > 0 and not self._is_crowded():
                helpers.extend(self.executor.submit(drain, True) for _ in range(free))

        def drain(helping: bool) -> None:
            while left and not (helping and self._is_crowded()):
                try:
                    item = left.popleft()
                except IndexError:
                    return
                if not helping:
                    call_helpers()
                try:
                    work(item)
                except BaseException:
                    left.clear()
                    raise

        try:
            drain(False)
        finally:
            begun = [helper for helper in helpers if not helper.cancel()]
            errors = [error for helper in begun if (error := helper.exception())]
        if errors:
            raise errors[0]

    def _is_crowded(self) -> bool:
        return monotonic() < self._crowded

    def close(self) -> None:
        """Let running work end and start no more."""
        self.executor.shutdown(cancel_futures=True)


def _stand_back(niceness: int) -> None:
    """Lower the priority of this thread; only Linux has one for each thread."""
    if niceness and sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)


class Turns:
    """Lets short pieces of work come one after the other.

    Threads that look into a database pass the interpreter's lock to and fro at every row; eight
    of them get half as much done as one. Nobody waits for a long piece, though.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until others are done, or take too long."""
        taken = self._lock.acquire(timeout=PATIENCE)
        try:
            yield
        finally:
            if taken:
                self._lock.release()


class Flights(Generic[T]):
    """Work by name: who asks for what is under way waits for it instead."""

    def __init__(self) -> None:
        self._flying: dict[str, Future[T]] = {}
        self._lock = threading.Lock()

    def run(self, key: str, work: Callable[[], T]) -> T:
        """Give the result of `work`, or of the same work begun by another thread.

        Parameters
        ----------
        key : str
            Names the work.
        work : callable
            Its error, too, reaches all who wait.
        """
        with self._lock:
            future: Future[T] | None = self._flying.get(key)
            first = future is None
            if future is None:
                future = self._flying[key] = Future()
        if first:
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)
            finally:
                with self._lock:
                    del self._flying[key]
        return future.result()
