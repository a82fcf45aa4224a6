"""Admission: which requests may use threads now, which have to wait, and which are abandoned.

A request's work runs in a thread under a `Ticket`. Work that would only wait there raises `Later`
instead: its thread is free meanwhile, and the work is done again once it can go on. What it has
read by then is in the cache.
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
"""How often one piece of work gives its thread up for single flights of others. After that it
waits in its thread, so that it is done in the end even if the cache keeps nothing for it."""

_local = threading.local()


class ThreadPool(Protocol):
    """Threads, and how many there are."""

    @property
    def executor(self) -> Executor: ...

    @property
    def threads(self) -> int: ...


class Later(BaseException):
    """Work cannot go on now; it is done again later.

    It is no `Exception`, so that code which handles errors of sources lets it pass.

    Parameters
    ----------
    ready : Future, optional
        Done when the work can go on. Without it the work waits for what its ticket says: a thread
        for its group, or memory.
    """

    def __init__(self, ready: Future[Any] | None = None) -> None:
        super().__init__("This work goes on later.")
        self.ready = ready


class Abandoned(BaseException):
    """All clients that wanted the answer are gone; no `Exception`, as `Later`."""


class Ticket:
    """The place of one piece of work among all that is to be done.

    Parameters
    ----------
    group : str, optional
        The channel, or whatever else the work may have to wait for. The work may also find it
        out (see `Admission.join`).
    suspendable : bool
        Whether the work can be done again from its beginning.

    Attributes
    ----------
    abandoned : bool
        Set once no client waits for the work any more.
    counted : str or None
        The group that a thread is counted to for the work.
    cost : int
        Bytes that the work has asked the budget for.
    grant : Grant or None
        What it was given of the budget.
    """

    def __init__(self, group: str | None = None, suspendable: bool = True) -> None:
        self.group = group
        self.abandoned = False
        self.counted: str | None = None
        self.cost = 0
        self.grant: Grant | None = None
        self._suspensions = SUSPENSIONS if suspendable else 0

    def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """Do work in this thread under the ticket."""
        before = current()
        _local.ticket = self
        try:
            check_wanted()
            return work(*arguments)
        finally:
            _local.ticket = before

    def may_suspend(self) -> bool:
        """Return whether the work may give up its thread once more, and count it."""
        self._suspensions -= 1
        return self._suspensions >= 0


def current() -> Ticket | None:
    """Return the ticket of the work in this thread; None outside of requests."""
    ticket: Ticket | None = getattr(_local, "ticket", None)
    return ticket


def take(budget: Budget, nbytes: int) -> None:
    """Have bytes of a budget granted to the work in this thread; without a ticket none are counted.

    Raises
    ------
    Later
        They are not free.
    """
    ticket = current()
    if ticket is None or ticket.grant is not None:
        return
    ticket.cost = nbytes
    ticket.grant = budget.grant(nbytes)
    if ticket.grant is None:
        raise Later


def check_wanted() -> None:
    """Raise `Abandoned` if no client waits for the work in this thread; long work asks often."""
    ticket = current()
    if ticket is not None and ticket.abandoned:
        raise Abandoned


async def wait_for(ready: Future[Any]) -> None:
    """Wait, in the event loop, until a future of a thread is done, whatever comes of it.

    Unlike `asyncio.wrap_future`, this never cancels the future, for which others wait as well.
    """
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def wake() -> None:
        if not done.done():
            done.set_result(None)

    ready.add_done_callback(lambda _: loop.call_soon_threadsafe(wake))
    await done


class Admission:
    """Runs the work of requests in a pool, so that no group of them takes all threads.

    A group, usually a channel, may use half of the threads that other groups leave. One whose disk
    or server hangs therefore never stops the others; several of them do not either.

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
        """Do work in the pool, as soon as its group may use a thread.

        Parameters
        ----------
        ticket : Ticket
            Of the work. What it is granted of the budget stays granted.
        work : callable
            It may raise `Later`; then it is called again.

        Raises
        ------
        Busy
            There is no memory for it for a while, or no thread can be started.
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
        """Count the work in this thread to a group, as soon as that is known.

        Parameters
        ----------
        group : str
            The channel, or whatever else the work may have to wait for.

        Raises
        ------
        Later
            The group has as many threads as it may use.
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
        """Return the thread of some work, and start the next; in the event loop alone."""
        with self._lock:
            if ticket.counted is not None:
                self._running[ticket.counted] -= 1
                self._running += Counter()  # drops groups that have none
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
            # The system has no thread for the pool, or the pool is closed.
            raise Busy(f"No thread is free: {error}.") from error
