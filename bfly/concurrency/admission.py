"""Admission: which requests may use threads now, which have to wait, and which are abandoned.

A request's work runs in a thread under a `Ticket`. Work that would block the thread raises `Later`
instead. Its thread is then free, and the work is repeated once it can go on. What it read before
is in the cache.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, deque
from typing import TYPE_CHECKING, Protocol, TypeVar

from bfly.errors import Busy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from concurrent.futures import Executor, Future
    from typing import Any

    from bfly.concurrency.budget import Budget, Grant

__all__ = [
    "Abandoned",
    "Admission",
    "Later",
    "Ticket",
    "check_wanted",
    "current",
    "take",
    "wait_for",
]

T = TypeVar("T")

SUSPENSIONS = 16
"""Times that one piece of work gives up its thread while other requests do the same work. After
that it waits in its thread, so it completes even if the cache keeps nothing for it."""

_local = threading.local()


class ThreadPool(Protocol):
    """A pool of threads, and their number."""

    @property
    def executor(self) -> Executor: ...

    @property
    def threads(self) -> int: ...


class Later(BaseException):
    """Work cannot go on now and is repeated later.

    It is not an `Exception`, so that code that handles errors of sources lets it pass.

    Parameters
    ----------
    ready : Future, optional
        Done when the work can go on. If not given, the work waits for what its ticket needs: a
        thread for its group, or memory.
    """

    def __init__(self, ready: Future[Any] | None = None) -> None:
        super().__init__("This work goes on later.")
        self.ready = ready


class Abandoned(BaseException):
    """All clients that requested the answer have disconnected; not an `Exception`, as `Later`."""


class Ticket:
    """State of one piece of work: its group, its memory, and whether a client waits for it.

    Parameters
    ----------
    group : str, optional
        The channel, or another resource that the work may have to wait for. The work may also
        set it later (see `Admission.join`).
    suspendable : bool
        Whether the work can be repeated from its beginning.

    Attributes
    ----------
    abandoned : bool
        Set once no client waits for the work any more.
    counted : str or None
        The group whose count of threads includes the work's.
    cost : int
        Bytes that the work requested from the budget.
    grant : Grant or None
        Bytes that the budget granted.
    """

    def __init__(self, group: str | None = None, suspendable: bool = True) -> None:
        self.group = group
        self.abandoned = False
        self.counted: str | None = None
        self.cost = 0
        self.grant: Grant | None = None
        self._suspensions = SUSPENSIONS if suspendable else 0

    def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """Run work in this thread under the ticket."""
        before = current()
        _local.ticket = self
        try:
            check_wanted()
            return work(*arguments)
        finally:
            _local.ticket = before

    def may_suspend(self) -> bool:
        """Return whether the work may give up its thread once more; count the call."""
        self._suspensions -= 1
        return self._suspensions >= 0


def current() -> Ticket | None:
    """Return the ticket of the work in this thread; None outside requests."""
    ticket: Ticket | None = getattr(_local, "ticket", None)
    return ticket


def take(budget: Budget, nbytes: int) -> None:
    """Take bytes of a budget for the work in this thread; do nothing outside requests.

    Raises
    ------
    Later
        The bytes are not free.
    """
    ticket = current()
    if ticket is None or ticket.grant is not None:
        return
    ticket.cost = nbytes
    ticket.grant = budget.grant(nbytes)
    if ticket.grant is None:
        raise Later


def check_wanted() -> None:
    """Raise `Abandoned` if no client waits for the work in this thread any more."""
    ticket = current()
    if ticket is not None and ticket.abandoned:
        raise Abandoned


async def wait_for(ready: Future[Any]) -> None:
    """Wait, in the event loop, until a future of a thread is done, also with an error.

    Unlike `asyncio.wrap_future`, this never cancels the future, since other requests wait for it.
    """
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def wake() -> None:
        if not done.done():
            done.set_result(None)

    ready.add_done_callback(lambda _: loop.call_soon_threadsafe(wake))
    await done


class Admission:
    """Runs the work of requests in a pool, so that no group takes all threads.

    A group, usually a channel, may use half of the threads that other groups leave free. So one
    or several groups whose disk or server hangs never block the others.

    Parameters
    ----------
    pool : ThreadPool
        The threads.
    budget : Budget
        The memory that all work may use.
    """

    def __init__(self, pool: ThreadPool, budget: Budget) -> None:
        self._pool = pool
        self._budget = budget
        self._running: Counter[str] = Counter()
        self._waiting: dict[str, deque[tuple[Ticket, asyncio.Future[None]]]] = {}
        self._lock = threading.Lock()

    async def run(self, ticket: Ticket, work: Callable[..., T], *arguments: Any) -> T:
        """Run work in the pool, as soon as its group may use a thread.

        Parameters
        ----------
        ticket : Ticket
            Ticket of the work. Its grant of memory is not released here.
        work : callable
            It may raise `Later`; then it is called again.

        Raises
        ------
        Busy
            Memory did not become free in time, or no thread can be started.
        Abandoned
            The ticket was abandoned.
        """
        while True:
            if ticket.cost and ticket.grant is None:
                ticket.grant = await self._budget.reserve(ticket.cost)
            if ticket.group is not None:
                await self._enter(ticket, ticket.group)
            try:
                return await self._submit(ticket.run, work, *arguments)
            except Later as later:
                ready = later.ready
            finally:
                self._leave(ticket)
            if ready is not None:
                await wait_for(ready)

    def join(self, group: str) -> None:
        """Count the work in this thread to a group, once the work has determined its group.

        Parameters
        ----------
        group : str
            The channel, or another resource that the work may have to wait for.

        Raises
        ------
        Later
            The group already uses as many threads as it may.
        """
        ticket = current()
        if ticket is None or ticket.group is not None:
            return
        ticket.group = group
        if not self._count(ticket, group):
            raise Later

    def _count(self, ticket: Ticket, group: str) -> bool:
        """Count a thread to a group if the group may use one more now."""
        with self._lock:
            if group in self._waiting or not self._has_room(group):
                return False
            self._running[group] += 1
        ticket.counted = group
        return True

    async def _enter(self, ticket: Ticket, group: str) -> None:
        if self._count(ticket, group):
            return
        turn = asyncio.get_running_loop().create_future()
        with self._lock:
            self._waiting.setdefault(group, deque()).append((ticket, turn))
            self._wake(group)
        await turn

    def _leave(self, ticket: Ticket) -> None:
        """Release the thread of a ticket and start waiting work; only in the event loop."""
        with self._lock:
            if ticket.counted is not None:
                self._running[ticket.counted] -= 1
                self._running += Counter()  # drops groups whose count is 0
                ticket.counted = None
            for group in list(self._waiting):
                self._wake(group)

    def _wake(self, group: str) -> None:
        queue = self._waiting[group]
        while queue and (queue[0][0].abandoned or self._has_room(group)):
            ticket, turn = queue.popleft()
            if not turn.cancelled():
                self._running[group] += 1
                ticket.counted = group
                turn.set_result(None)
        if not queue:
            del self._waiting[group]

    def _has_room(self, group: str) -> bool:
        own = self._running.get(group, 0)
        others = sum(self._running.values()) - own
        return own < max(1, (self._pool.threads - others) // 2)

    def _submit(self, work: Callable[..., T], *arguments: Any) -> Awaitable[T]:
        try:
            return asyncio.get_running_loop().run_in_executor(self._pool.executor, work, *arguments)
        except RuntimeError as error:
            # The system cannot start a thread for the pool, or the pool is closed.
            raise Busy(f"No thread is free: {error}.") from error
