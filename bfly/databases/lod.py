"""Tiers: which synapses stand for all of them where not all can be shown.

Every synapse has a tier, by its id alone: of all ids an eighth is above tier 0, an eighth of
these above tier 1, and so on, as if chosen by chance. What tier a synapse has does not depend
on the others, so it never changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["TIER", "TOP", "mixed", "tiers_of"]

BITS = 3
TIER = 1 << BITS
"""So many times fewer synapses are above a tier than in it and above."""

TOP = 64 // BITS
"""The highest tier there may be."""


def mixed(ids: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Give a number of 64 bits for each id that looks like chance, a different one for each.

    The last steps of SplitMix64 (G. L. Steele, D. Lea and C. H. Flood, "Fast splittable
    pseudorandom number generators", OOPSLA 2014).
    """
    bits = ids.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ bits >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ bits >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    result: NDArray[np.uint64] = bits ^ bits >> np.uint64(31)
    return result


def tiers_of(ids: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Give the tier of each synapse, 0 to `TOP`."""
    bits = mixed(ids)
    lowest = bits & (~bits + np.uint64(1))
    # A power of two is exact as a float, whose exponent is how many zeros are below it.
    zeros = np.frexp(lowest.astype(np.float64))[1] - 1
    return np.where(bits == 0, TOP, zeros // BITS).astype(np.uint64)
