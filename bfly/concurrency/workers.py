"""Threads: one bounded pool for the process, brief locks, and single flight."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Generic, TypeVar

from bfly.concurrency.admission import Abandoned, Later, check_wanted, current
from bfly.concurrency.threads import starting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["BriefLock", "SingleFlight", "Workers"]

T = TypeVar("T")

PATIENCE = 0.05
"""Seconds after which a `BriefLock` lets the next thread go on as well."""


CROWDED = 0.1
"""Seconds after a request during which another is likely."""


class Workers:
    """Thread pool for all work that may wait for a disk or take long.

    Parameters
    ----------
    parallel : int, optional
        Threads that share one piece of work; by default, the number of cores.
    niceness : int
        Increment of the threads' niceness (lower priority), as for the Unix command ``nice``.
    is_busy : bool
        Whether the work keeps a core busy. Then there are no more threads than cores.
    """

    def __init__(
        self, parallel: int | None = None, niceness: int = 0, is_busy: bool = False
    ) -> None:
        self.parallel = parallel or os.cpu_count() or 1
        self.threads = self.parallel if is_busy else 2 * self.parallel + 4
        self.executor = ThreadPoolExecutor(self.threads, "bfly", _stand_back, (niceness,))
        # A separate pool: helpers blocked by a disk that hangs take no thread from other requests.
        self._helpers = ThreadPoolExecutor(self.parallel, "bfly-help", _stand_back, (niceness,))
        self._crowded = 0.0

    def call(self, work: Callable[[], T]) -> T:
        """Return the result of `work`, done in a thread of this pool under the ticket of this one.

        Only for threads of other pools: this one waits.

        Raises
        ------
        Abandoned
            No client waits for the answer any more.
        Busy
            No thread can be started.
        """
        ticket = current()
        with starting():
            future = self.executor.submit(work if ticket is None else partial(ticket.run, work))
        try:
            return future.result()
        finally:
            # A traceback that refers to its own error would keep the voxels in memory too.
            del future

    def make_room(self) -> None:
        """Start no helpers for `CROWDED` seconds, since other requests need the cores."""
        self._crowded = monotonic() + CROWDED

    def each(self, work: Callable[[T], object], items: Iterable[T]) -> None:
        """Call `work` with every item, in the calling thread and in free helper threads.

        The caller works too and waits only for helpers that have started. So `work` may call
        this again from within the pool. It stops between two items if no client waits for the
        answer any more.

        Parameters
        ----------
        work : callable
            Called once with each item; its result is dropped.
        items : iterable
            The items, in the order in which they are started.

        Raises
        ------
        Abandoned
            The ticket of the work in this thread was abandoned.
        """
        _Shared(self, work, deque(items)).do()

    def _call(self, help_out: Callable[[], None]) -> Future[None] | None:
        """Start a helper, or return None if the system cannot start a thread."""
        try:
            return self._helpers.submit(help_out)
        except RuntimeError:
            return None

    def is_crowded(self) -> bool:
        """Return whether other work needs the cores more than helpers do."""
        return monotonic() < self._crowded

    def close(self) -> None:
        """Wait for running work, and cancel work that has not started."""
        self.executor.shutdown(cancel_futures=True)
        self._helpers.shutdown(cancel_futures=True)


class _Shared(Generic[T]):
    """Work that several threads share.

    A class, since nested functions would refer to each other. Such a cycle would keep the voxels
    that the work writes to in memory until the garbage collector runs.
    """

    def __init__(self, workers: Workers, work: Callable[[T], object], left: deque[T]) -> None:
        self._workers = workers
        self._work: Callable[[T], object] | None = work
        self._left = left
        self._ticket = current()
        self._begun: list[Future[None]] = []

    def do(self) -> None:
        """Process all items; an error in any thread ends the work and is raised."""
        try:
            self._drain(False)
            self._await_helpers()
        finally:
            # A cancelled helper stays in the pool's queue for a while, and keeps this object.
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
        """Wait for helpers that have started, and raise the first of their errors."""
        helpers, self._begun = self._begun, []
        errors = [h.exception() for h in helpers if not h.cancel()]
        error = next(filter(None, errors), None)
        try:
            if error is not None and not quiet:
                raise error
        finally:
            # A traceback that refers to its own error would keep the voxels in memory too.
            del helpers, errors, error


def _stand_back(niceness: int) -> None:
    """Lower the priority of this thread; only Linux has priorities per thread."""
    if niceness and sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)


class BriefLock:
    """A lock that serialises short pieces of work, but is not waited for longer than `PATIENCE`.

    Threads that query a database switch the interpreter's lock (GIL) at every row: eight threads
    do half as much as one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the lock while the body runs, or go on without it after `PATIENCE` seconds."""
        taken = self._lock.acquire(timeout=PATIENCE)
        try:
            yield
        finally:
            if taken:
                self._lock.release()


class SingleFlight(Generic[T]):
    """Single flight: concurrent calls with the same key share one execution.

    A request that may be suspended (see `Ticket`) does not wait in its thread. It is repeated
    once the shared call is done, when the result is in a cache.
    """

    def __init__(self) -> None:
        self._flying: dict[str, Future[T]] = {}
        self._lock = threading.Lock()

    def run(self, key: str, work: Callable[[], T]) -> T:
        """Return the result of `work`, or of the same work started by another thread.

        Parameters
        ----------
        key : str
            Names the work.
        work : callable
            Its result, or its error, reaches all waiting callers.

        Raises
        ------
        Later
            The same work is in progress, and the work in this thread may be suspended.
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
                # Only the request that started the work ends; the others do the work themselves.
                if first:
                    raise
            finally:
                # A traceback that refers to its own error would keep the voxels in memory too.
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
