"""Room for large chunks: a total that is not exceeded, and threads that wait for it."""

from __future__ import annotations

import threading

import pytest

from bfly.concurrency import room
from bfly.concurrency.room import SMALL, Room
from bfly.errors import Busy

LARGE = SMALL + 1


def test_threads_wait_for_room():
    shared, entered, most = Room(2 * LARGE), threading.Semaphore(0), []
    inside: set[int] = set()

    def work(number: int) -> None:
        with shared.taking(LARGE):
            inside.add(number)
            most.append(len(inside))
            entered.release()
            threading.Event().wait(0.01)
            inside.discard(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 8
    assert max(most) <= 2


def test_one_alone_may_take_more_than_there_is():
    with Room(1).taking(LARGE):
        pass


def test_a_thread_that_has_room_takes_no_more():
    shared = Room(LARGE)
    with shared.taking(LARGE), shared.taking(LARGE):
        pass


def test_room_is_given_back_after_an_error():
    shared = Room(LARGE)
    with pytest.raises(KeyError), shared.taking(LARGE):
        raise KeyError
    with shared.taking(LARGE):
        pass


def test_a_thread_does_not_wait_for_ever(monkeypatch):
    monkeypatch.setattr(room, "PATIENCE", 0.05)
    shared, failed = Room(LARGE), []

    def work() -> None:
        try:
            with shared.taking(LARGE):
                pass
        except Busy as error:
            failed.append(str(error))

    with shared.taking(LARGE):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert failed == [
        f"No room for a chunk of {LARGE} bytes: {LARGE} of {LARGE} are taken by other large chunks."
    ]
