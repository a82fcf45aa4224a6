from __future__ import annotations

import numpy as np

from bfly.databases.lod import TOP, mixed, tiers_of


def plain(number: int) -> int:
    """Return the tier of an id, with Python's numbers."""
    mask = 2**64 - 1
    bits = (number + 0x9E3779B97F4A7C15) & mask
    bits = ((bits ^ bits >> 30) * 0xBF58476D1CE4E5B9) & mask
    bits = ((bits ^ bits >> 27) * 0x94D049BB133111EB) & mask
    bits ^= bits >> 31
    zeros = (bits & -bits).bit_length() - 1
    return TOP if bits == 0 else zeros // 3


def test_tiers_are_exact_for_ids_of_any_size():
    random = np.random.default_rng(0)
    ids = np.concatenate([np.arange(5000), random.integers(0, 2**64, 5000, np.uint64)])
    ids = np.append(ids.astype(np.uint64), np.array([2**64 - 1, 2**53 + 1], np.uint64))
    assert tiers_of(ids).tolist() == [plain(number) for number in ids.tolist()]
    assert tiers_of(ids).dtype == np.uint64


def test_ids_in_a_row_are_mixed_and_none_is_lost():
    numbers = mixed(np.arange(100_000, dtype=np.uint64))
    assert len(np.unique(numbers)) == 100_000
    assert abs(np.corrcoef(numbers[1:].astype(float), numbers[:-1].astype(float))[0, 1]) < 0.01


def test_the_id_that_mixes_to_zero_is_in_the_highest_tier():
    zero = np.array([2**64 - 0x9E3779B97F4A7C15], np.uint64)
    assert mixed(zero) == 0
    assert tiers_of(zero) == TOP
