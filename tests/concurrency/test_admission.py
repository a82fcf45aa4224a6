from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

import pytest

from bfly.concurrency.admission import Abandoned, Admission, Later, Ticket, check_wanted, current
from bfly.concurrency.budget import Budget
from bfly.concurrency.workers import SingleFlight, Workers
from bfly.errors import Busy

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 20
"""Seconds after which a test has failed rather than waited."""


@pytest.fixture
def workers() -> Iterator[Workers]:
    """A pool of eight threads."""
    workers = Workers(2)
    assert workers.threads == 8
    yield workers
    workers.close()


async def until(condition) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)


class Disk:
    """Work that hangs until it is let go."""

    def __init__(self, admission: Admission) -> None:
        self.begun: list[str] = []
        self.go = threading.Event()
        self._admission = admission

    def read(self, group: str) -> str:
        self._admission.join(group)
        self.begun.append(group)
        assert self.go.wait(PATIENCE)
        return group


def test_groups_that_hang_leave_threads_to_all_others(workers: Workers) -> None:
    async def main() -> None:
        admission = Admission(workers, Budget(1000))
        disk = Disk(admission)
        hung = [
            asyncio.ensure_future(admission.run(Ticket(), disk.read, group))
            for group in ("a", "b", "c")
            for _ in range(20)
        ]
        await until(lambda: set(disk.begun) == {"a", "b", "c"})
        await asyncio.sleep(0.05)
        assert [disk.begun.count(group) for group in "abc"] == [4, 2, 1]
        async with asyncio.timeout(PATIENCE):
            for _ in range(50):
                assert await admission.run(Ticket("d"), lambda: "done") == "done"
        disk.go.set()
        assert await asyncio.gather(*hung) == [g for g in "abc" for _ in range(20)]
        assert not admission._running
        assert not admission._waiting

    asyncio.run(main())


def test_work_in_the_queue_is_dropped_once_it_is_abandoned(workers: Workers) -> None:
    async def main() -> None:
        admission = Admission(workers, Budget(1000))
        disk = Disk(admission)
        tickets = [Ticket() for _ in range(30)]
        hung = [asyncio.ensure_future(admission.run(t, disk.read, "a")) for t in tickets]
        await until(lambda: len(disk.begun) == 4)
        for ticket in tickets:
            ticket.abandoned = True
        disk.go.set()
        results = await asyncio.gather(*hung, return_exceptions=True)
        assert len(disk.begun) == 4
        assert results.count("a") == 4
        assert sum(isinstance(result, Abandoned) for result in results) == 26

    asyncio.run(main())


def test_waiting_for_a_flight_holds_no_thread(workers: Workers) -> None:
    async def main() -> None:
        admission, flights = Admission(workers, Budget(1000)), SingleFlight()
        disk, cache = Disk(admission), {}

        def work() -> str:
            # Looked at again, as the flight before may have landed meanwhile.
            if "tile" not in cache:
                cache["tile"] = disk.read("a")
            return cache["tile"]

        def read() -> str:
            admission.join("a")
            return cache.get("tile") or flights.run("tile", work)

        # More of them than there are threads wait for one, which is in the first.
        waiting = [asyncio.ensure_future(admission.run(Ticket(), read)) for _ in range(100)]
        await until(lambda: disk.begun)
        await asyncio.sleep(0.1)
        assert sum(admission._running.values()) == 1
        disk.go.set()
        assert await asyncio.gather(*waiting) == ["a"] * 100
        assert disk.begun == ["a"]

    asyncio.run(main())


def test_a_flight_that_its_request_gave_up_is_made_by_another(workers: Workers) -> None:
    async def main() -> None:
        admission, flights = Admission(workers, Budget(1000)), SingleFlight()
        begun, go = [], threading.Event()

        def read() -> str:
            def work() -> str:
                begun.append(1)
                assert go.wait(PATIENCE)
                check_wanted()
                return "tile"

            return flights.run("tile", work)

        first, second = Ticket("a"), Ticket("a")
        left = asyncio.ensure_future(admission.run(first, read))
        await until(lambda: begun)
        stays = asyncio.ensure_future(admission.run(second, read))
        found = []
        plain = threading.Thread(target=lambda: found.append(read()))
        plain.start()
        await asyncio.sleep(0.05)
        first.abandoned = True
        go.set()
        with pytest.raises(Abandoned):
            await left
        assert await stays == "tile"
        plain.join(PATIENCE)
        assert found == ["tile"]

    asyncio.run(main())


def test_work_is_put_off_only_so_often(workers: Workers) -> None:
    ticket, flights = Ticket(), SingleFlight()
    under_way: Future[int] = Future()
    flights._flying["tile"] = under_way
    for _ in range(16):
        with pytest.raises(Later) as later:
            ticket.run(flights.run, "tile", int)
        assert later.value.ready is under_way
    under_way.set_result(7)
    assert ticket.run(flights.run, "tile", int) == 7


def test_helpers_work_for_the_ticket_and_stop_with_it(workers: Workers) -> None:
    ticket, seen, both = Ticket(), [], threading.Barrier(2, timeout=PATIENCE)

    def look(i: int) -> None:
        seen.append((current(), threading.get_ident()))
        if i < 2:
            both.wait()
        if i == 9:
            ticket.abandoned = True

    with pytest.raises(Abandoned):
        ticket.run(workers.each, look, range(100_000))
    assert len({thread for _, thread in seen}) == 2
    assert {ticket for ticket, _ in seen} == {ticket}
    assert len(seen) < 20
    assert current() is None


def test_a_system_without_threads_is_busy(workers: Workers) -> None:
    workers.close()

    async def main() -> None:
        with pytest.raises(Busy, match="No thread is free"):
            await Admission(workers, Budget(1)).run(Ticket(), int)

    asyncio.run(main())
