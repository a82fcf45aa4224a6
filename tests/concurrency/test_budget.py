import asyncio
import gc

import pytest

from bfly.concurrency.admission import Later, Ticket, take
from bfly.concurrency.budget import MOST, Budget
from bfly.errors import Busy


def test_bytes_are_granted_as_long_as_there_are_any() -> None:
    budget = Budget(100)
    first, second = budget.grant(60), budget.grant(30)
    assert budget.used == 90
    assert budget.grant(11) is None
    first.shrink(20)
    assert budget.used == 50
    second.release()
    second.release()
    assert budget.used == 20


def test_a_grant_that_is_dropped_goes_back() -> None:
    budget = Budget(100)
    gc.disable()
    try:
        grant = budget.grant(50)
        assert budget.used == 50
        del grant
        assert budget.used == 0
    finally:
        gc.enable()


def test_a_request_above_all_of_it_is_granted_nearly_all() -> None:
    budget = Budget(1600)
    grant = budget.grant(10_000)
    assert budget.used == grant.nbytes == 1600 * MOST
    small = budget.grant(100)
    assert small is not None
    assert budget.grant(100) is None


def test_work_without_a_ticket_is_not_counted() -> None:
    budget = Budget(100)
    take(budget, 1000)
    assert budget.used == 0


def test_work_is_put_off_until_bytes_are_free_and_keeps_them_then() -> None:
    budget, ticket, other = Budget(100), Ticket(), Ticket()
    other.run(take, budget, 80)
    with pytest.raises(Later):
        ticket.run(take, budget, 50)
    assert ticket.cost == 50
    other.grant.release()
    ticket.grant = asyncio.run(budget.reserve(50))
    ticket.run(take, budget, 50)
    assert budget.used == 50


def test_requests_are_granted_in_their_order_but_small_ones_pass() -> None:
    async def main() -> list[str]:
        budget, done = Budget(6400), []
        held = budget.grant(5000)

        async def ask(name: str, nbytes: int) -> None:
            grant = await budget.reserve(nbytes)
            done.append(name)
            grant.release()

        large = asyncio.ensure_future(ask("large", 6000))
        await asyncio.sleep(0)
        middle = asyncio.ensure_future(ask("middle", 200))
        await asyncio.sleep(0)
        assert budget.grant(200) is None
        small = budget.grant(100)
        assert small is not None
        small.release()
        held.release()
        await asyncio.gather(large, middle)
        return done

    assert asyncio.run(main()) == ["large", "middle"]


def test_a_request_that_waits_too_long_is_told_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bfly.concurrency.budget.PATIENCE", 0.01)

    async def main() -> None:
        budget = Budget(1000)
        held = budget.grant(900)
        with pytest.raises(Busy, match=r"takes 500 bytes of memory, and of 1000 .* 900 are in use"):
            await budget.reserve(500)
        held.release()
        assert budget.used == 0
        assert (await budget.reserve(500)).nbytes == 500

    asyncio.run(main())
