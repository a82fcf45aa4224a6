"""BriefLock: short tasks run in turn, and none waits for a long one."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from bfly.concurrency.workers import BriefLock


def test_one_after_the_other() -> None:
    turns, inside, most = BriefLock(), 0, 0

    def work(_: int) -> None:
        nonlocal inside, most
        with turns.turn():
            inside += 1
            most = max(most, inside)
            inside -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(500)))
    assert (inside, most) == (0, 1)


def test_a_long_piece_holds_nobody_up() -> None:
    turns, begun, end = BriefLock(), threading.Event(), threading.Event()

    def long() -> None:
        with turns.turn():
            begun.set()
            assert end.wait(60)

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(long)
        assert begun.wait(60)
        with turns.turn():
            assert not done.done()
        end.set()
        done.result()
    # A thread that did not wait took no turn: one is left.
    with turns.turn():
        pass


def test_a_piece_that_fails_ends_its_turn() -> None:
    turns = BriefLock()
    for _ in range(2):
        try:
            with turns.turn():
                raise KeyError
        except KeyError:
            assert turns._lock.acquire(timeout=0)
            turns._lock.release()
