import gc
import threading
import time
import weakref
from functools import partial

import numpy as np
import pytest

from bfly.concurrency.admission import Abandoned, Ticket, current
from bfly.concurrency.workers import SingleFlight, Workers


@pytest.mark.parametrize("parallel", [1, 2, 4])
def test_every_item_is_worked_on_once(parallel: int) -> None:
    done: list[int] = []
    workers = Workers(parallel)
    workers.each(done.append, range(500))
    assert sorted(done) == list(range(500))
    workers.close()


def test_work_within_work_does_not_lock_up() -> None:
    workers, done = Workers(2), []

    def outer(i: int) -> None:
        workers.each(lambda j: done.append((i, j)), range(5))

    tasks = [workers.executor.submit(workers.each, outer, range(20)) for _ in range(20)]
    for task in tasks:
        task.result(timeout=30)
    assert len(done) == 20 * 20 * 5
    workers.close()


@pytest.mark.parametrize("parallel", [1, 3])
def test_an_error_reaches_the_caller_and_ends_the_work(parallel: int) -> None:
    begun = []

    def work(i: int) -> None:
        begun.append(i)
        if i == 3:
            raise ValueError("three")

    workers = Workers(parallel)
    with pytest.raises(ValueError, match="three"):
        workers.each(work, range(100_000))
    assert len(begun) < 100_000
    workers.close()


def test_helpers_leave_when_others_need_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bfly.concurrency.workers.CROWDED", 60)
    workers, both = Workers(2), threading.Barrier(2, timeout=30)
    threads: list[int] = []

    def work(i: int) -> None:
        if i < 2:
            both.wait()
            workers.make_room()
        threads.append(threading.get_ident())

    workers.each(work, range(20))
    assert len(threads) == 20
    assert len([each for each in threads if each != threading.get_ident()]) == 1
    threads.clear()
    workers.each(lambda _: threads.append(threading.get_ident()), range(20))
    assert threads == [threading.get_ident()] * 20
    workers.close()


def test_helpers_come_back_once_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    now, both = [0.0], threading.Barrier(2, timeout=30)
    monkeypatch.setattr("bfly.concurrency.workers.monotonic", lambda: now[0])
    workers, alone = Workers(2), set()
    workers.make_room()

    def work(i: int) -> None:
        if i < 5:
            alone.add(threading.get_ident())
        elif i == 5:
            now[0] = 1.0
        elif i in (7, 8):
            both.wait()

    workers.each(work, range(9))
    assert alone == {threading.get_ident()}
    workers.close()


def test_work_that_is_under_way_is_not_begun_again() -> None:
    flights: SingleFlight[int] = SingleFlight()
    begun, go = [], threading.Event()

    def work() -> int:
        begun.append(1)
        go.wait(10)
        return 42

    results: list[int] = []
    threads = [
        threading.Thread(target=lambda: results.append(flights.run("a", work))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    go.set()
    for thread in threads:
        thread.join()
    assert results == [42] * 8
    assert len(begun) <= 8
    assert flights.run("a", lambda: 7) == 7


def test_an_error_reaches_all_who_wait() -> None:
    flights: SingleFlight[int] = SingleFlight()
    with pytest.raises(KeyError):
        flights.run("a", lambda: {}["x"])
    assert flights.run("a", lambda: 1) == 1


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("parallel", [1, 3])
def test_what_work_writes_to_goes_with_it_before_any_collection(parallel: int, fails: bool) -> None:
    workers, flights = Workers(parallel), SingleFlight[None]()

    def read() -> weakref.ref[object]:
        voxels = np.zeros(1000)

        def work(i: int) -> None:
            voxels[i] = i
            if fails and i == 500:
                raise ValueError("five hundred")

        try:
            flights.run("voxels", lambda: workers.each(work, range(1000)))
        except ValueError:
            assert fails
        return weakref.ref(voxels)

    gc.disable()
    try:
        kept = [read() for _ in range(20)]
        workers.close()
        assert [each() for each in kept] == [None] * 20
    finally:
        gc.enable()


def test_a_call_is_done_in_a_thread_of_the_pool_under_the_ticket() -> None:
    workers, ticket = Workers(2, is_busy=True), Ticket("group")

    def work() -> tuple[str, Ticket | None]:
        return threading.current_thread().name, current()

    name, found = ticket.run(workers.call, work)
    assert name.startswith("bfly")
    assert name != threading.current_thread().name
    assert found is ticket
    with pytest.raises(ZeroDivisionError):
        workers.call(lambda: 1 // 0)
    workers.close()


def test_a_call_of_abandoned_work_is_not_begun() -> None:
    workers, ticket, gate = Workers(1, is_busy=True), Ticket(), threading.Event()
    assert workers.threads == 1
    blocked = threading.Thread(target=workers.call, args=(gate.wait,))
    blocked.start()
    begun: list[int] = []
    ended: list[type[BaseException]] = []

    def wait() -> None:
        try:
            ticket.run(workers.call, partial(begun.append, 1))
        except Abandoned as error:
            ended.append(type(error))

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.1)
    ticket.abandoned = True
    gate.set()
    for thread in (blocked, waiting):
        thread.join(10)
    assert (begun, ended) == ([], [Abandoned])
    workers.close()
