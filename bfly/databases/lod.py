"""Levels of detail (tiers): samples of the synapses, for views that cannot show them all.

The tier of a synapse depends on a hash of its id alone, so it never changes. An eighth of all
ids is above tier 0, an eighth of these above tier 1, and so on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["TIER", "TOP", "mixed", "tiers_of"]

BITS = 3
TIER = 1 << BITS
"""Ratio of synapses in or above a tier to those above it."""

TOP = 64 // BITS
"""The highest tier: 64 bits of hash, `BITS` per tier."""


def mixed(ids: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return a pseudorandom 64-bit number for each id; distinct ids get distinct numbers.

    These are the last steps of SplitMix64 (G. L. Steele, D. Lea and C. H. Flood, "Fast splittable
    pseudorandom number generators", OOPSLA 2014).
    """
    bits = ids.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ bits >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ bits >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    result: NDArray[np.uint64] = bits ^ bits >> np.uint64(31)
    return result


def tiers_of(ids: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the tier of each synapse, 0 to `TOP`."""
    bits = mixed(ids)
    lowest = bits & (~bits + np.uint64(1))
    # A power of two is exact as a float; its exponent is the number of trailing zeros.
    zeros = np.frexp(lowest.astype(np.float64))[1] - 1
    return np.where(bits == 0, TOP, zeros // BITS).astype(np.uint64)
