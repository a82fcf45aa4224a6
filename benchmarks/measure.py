"""Samples that can be compared: interleaved, each answer checked, medians."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Samples", "WrongAnswer", "interleaved"]

Samples = dict[str, list[float]]
"""From what was measured to one figure a round."""


class WrongAnswer(Exception):
    """What was timed did not give the right bytes."""


def interleaved(rounds: int, contestants: Mapping[str, Callable[[], float]]) -> Samples:
    """Let all take turns, so that whatever else the machine does falls on all alike.

    Parameters
    ----------
    rounds : int
        How many samples to take of each, after one that is thrown away.
    contestants : mapping
        From a name to what takes one sample.
    """
    samples: Samples = {name: [] for name in contestants}
    names = list(contestants)
    for turn in range(-1, rounds):
        for name in names:
            sample = contestants[name]()
            if turn >= 0:
                samples[name].append(sample)
        names.append(names.pop(0))
    return samples
