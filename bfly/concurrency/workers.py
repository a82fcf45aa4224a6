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

from bfly.concurrency.admission import Abandoned, Later, check_wanted, current

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["SingleFlight", "BriefLock", "Workers"]

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
        self.threads = 2 * self.parallel + 4
        self.executor = ThreadPoolExecutor(self.threads, "bfly", _stand_back, (niceness,))
        # In a pool of their own: helpers on a disk that hangs take no thread from other requests.
        self._helpers = ThreadPoolExecutor(self.parallel, "bfly-help", _stand_back, (niceness,))
        self._crowded = 0.0

    def make_room(self) -> None:
        """Let no threads help each other for a while, since other requests need the cores."""
        self._crowded = monotonic() + CROWDED

    def each(self, work: Callable[[T], object], items: Iterable[T]) -> None:
        """Do the same work on every item, with free threads helping the caller.

        The caller works too and waits only for helpers that have begun, so that work may call
        this again from within the pool. Between two items it stops if no client wants the answer
        any more.

        Parameters
        ----------
        work : callable
            Called once with each item; what it returns is dropped.
        items : iterable
            In the order in which they are begun.

        Raises
        ------
        Abandoned
            The ticket of the work in this thread was abandoned.
        """
        _Shared(self, work, deque(items)).do()

    def _call(self, help_out: Callable[[], None]) -> Future[None] | None:
        """Have a thread help, if the system has one."""
        try:
            return self._helpers.submit(help_out)
        except RuntimeError:
            return None

    def is_crowded(self) -> bool:
        """Return whether other work needs the cores more than helpers do."""
        return monotonic() < self._crowded

    def close(self) -> None:
        """Let running work end and start no more."""
        self.executor.shutdown(cancel_futures=True)
        self._helpers.shutdown(cancel_futures=True)


class _Shared(Generic[T]):
    """Work that several threads share.

    Methods rather than functions in one another: those would keep each other, and with them the
    voxels that the work writes to, until the garbage collector runs.
    """

    def __init__(self, workers: Workers, work: Callable[[T], object], left: deque[T]) -> None:
        self._workers = workers
        self._work: Callable[[T], object] | None = work
        self._left = left
        self._ticket = current()
        self._begun: list[Future[None]] = []

    def do(self) -> None:
        """Do all of it; an error of any thread ends it."""
        try:
            self._drain(False)
            self._await_helpers()
        finally:
            # A helper that was never begun stays in the queue for a while, and this with it.
            self._left.clear()
            self._await_helpers(quiet=True)
            self._work = None

    def _drain(self, helping: bool) -> None:
        work, left = self._work, self._left
        while left and work is not None and not (helping and self._workers.is_crowded()):
            try:
                item = left.popleft()
            except IndexError:
                return
            try:
                check_wanted()
                if not helping:
                    self._call_helpers()
                work(item)
            except BaseException:
                left.clear()
                raise

    def _call_helpers(self) -> None:
        most = min(self._workers.parallel - 1, len(self._left))
        if most <= 0:
            return
        free = most - sum(not helper.done() for helper in self._begun)
        if free > 0 and not self._workers.is_crowded():
            calls = (self._workers._call(self._help) for _ in range(free))
            self._begun.extend(helper for helper in calls if helper is not None)

    def _help(self) -> None:
        if self._ticket is None:
            self._drain(True)
        else:
            self._ticket.run(self._drain, True)

    def _await_helpers(self, quiet: bool = False) -> None:
        """Wait for helpers that have begun, and raise the first error of theirs."""
        helpers, self._begun = self._begun, []
        errors = [h.exception() for h in helpers if not h.cancel()]
        error = next(filter(None, errors), None)
        try:
            if error is not None and not quiet:
                raise error
        finally:
            # What is raised must not be kept by its own traceback, which holds the voxels as well.
            del helpers, errors, error


def _stand_back(niceness: int) -> None:
    """Lower the priority of this thread; only Linux has one for each thread."""
    if niceness and sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)


class BriefLock:
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


class SingleFlight(Generic[T]):
    """Single flight: calls with the same key at the same time share one execution.

    A request that may be suspended (see `Ticket`) does not wait in its thread: it is done again
    once the flight has landed, when the result is in a cache.
    """

    def __init__(self) -> None:
        self._flying: dict[str, Future[T]] = {}
        self._lock = threading.Lock()

    def run(self, key: str, work: Callable[[], T]) -> T:
        """Return the result of `work`, or of the same work begun by another thread.

        Parameters
        ----------
        key : str
            Names the work.
        work : callable
            Its error, too, reaches all callers that wait.

        Raises
        ------
        Later
            The same work is under way, and the work in this thread may be suspended.
        """
        while True:
            with self._lock:
                first = key not in self._flying
                future = Future() if first else self._flying[key]
                self._flying[key] = future
            if first:
                self._fly(key, future, work)
            elif (ticket := current()) is not None and ticket.may_suspend():
                raise Later(future)
            try:
                return future.result()
            except (Abandoned, Later):
                # Of the request that had begun the work; others do it themselves.
                if first:
                    raise
            finally:
                # An error must not be kept by its own traceback, which holds the voxels as well.
                del future

    def _fly(self, key: str, future: Future[T], work: Callable[[], T]) -> None:
        try:
            result = work()
        except BaseException as error:
            self._land(key)
            future.set_exception(error)
        else:
            self._land(key)
            future.set_result(result)
        finally:
            del future

    def _land(self, key: str) -> None:
        with self._lock:
            del self._flying[key]
