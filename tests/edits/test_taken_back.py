"""What takes back operations, and what is taken back itself."""

from __future__ import annotations

import numpy as np

from bfly.edits.taken_back import TakenBack


def test_what_two_operations_took_back_is_there_once_neither_stands() -> None:
    """The second one took it back while the first one was taken back itself."""
    taken = TakenBack()
    taken.add(2, [1])
    taken.add(3, [2])
    taken.add(4, [1])
    assert taken.by == {2: 3, 1: 4}
    taken.add(5, [3, 4])
    assert taken.by == {3: 5, 4: 5, 1: 2}
    taken.add(6, [2])
    assert taken.by == {3: 5, 4: 5, 2: 6}


def test_operations_that_take_back_each_other_in_any_order() -> None:
    random = np.random.default_rng(1)
    for _ in range(10):
        taken, undoers = TakenBack(), {}

        def counts(one: int, left_out: tuple[int, ...] = (), undoers: dict = undoers) -> bool:
            others = undoers.get(one, ())
            return one not in left_out and not any(counts(each, left_out) for each in others)

        for number in range(2, 40):
            chosen = set(random.integers(1, number, random.integers(1, 4)).tolist()) - {*taken.by}
            if not chosen:
                continue
            taken.add(number, chosen)
            for each in chosen:
                undoers.setdefault(each, []).append(number)
            assert set(taken.by) == {one for one in range(1, number + 1) if not counts(one)}
            assert all(other in taken._undoes[by] for other, by in taken.by.items())
            left_out = tuple(random.integers(1, number + 1, 2).tolist())
            for one in range(1, number + 1):
                assert taken.counts(one) is counts(one)
                assert taken.counts(one, left_out) is counts(one, left_out)


def test_a_chain_of_any_length() -> None:
    """A user may take back the latest operation again and again."""
    taken = TakenBack()
    for number in range(2, 5002):
        taken.add(number, [number - 1])
    assert set(taken.by) == set(range(2, 5001, 2))
    assert taken.counts(1)
    assert not taken.counts(1, [5001])
