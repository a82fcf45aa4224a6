"""How much a section looks like labels: two shares of its voxels, without zeros.

Labels have runs and blobs of one value; grey values of a microscope change from voxel to voxel,
and each of them is found everywhere. Both are measured, since either has exceptions: a smooth or
posterized image has runs, and membranes are thin.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["Measure", "joined", "measure"]

FEW = 8
"""Voxels of a value below which its blobs have no shape."""


class Measure(NamedTuple):
    """Measures of one section, or the means of several.

    Parameters
    ----------
    pairs : int
        Pairs of a voxel and its right neighbour, neither of which is 0.
    share : float
        Share of these pairs whose two values are equal; 0 without a pair.
    runs : float
        The same share of the pairs that begin with one value, as a mean over all values. A value
        counts by the square root of its number, so that no background decides alone.
    blobs : float
        How compact the places of a value are, from 0 (everywhere) to 1 (a disc), as a mean over
        all values that are weighted likewise.
    values : int
        Distinct values that are not 0, in the section that has most.
    low, high : int
        Lowest and highest of these values; 0 without any.
    has_zeros : bool
        Whether there are zeros too.
    """

    pairs: int
    share: float
    runs: float
    blobs: float
    values: int
    low: int
    high: int
    has_zeros: bool

    @property
    def is_constant(self) -> bool:
        """Whether all voxels have one value, which says nothing."""
        return self.values <= 1 and not (self.values and self.has_zeros)

    @property
    def score(self) -> float:
        """Likeness to labels, from 0 to 2: `runs` and `blobs`."""
        return self.runs + self.blobs


NOTHING = Measure(0, 0.0, 0.0, 0.0, 0, 0, 0, False)


def measure(section: Voxels) -> Measure:
    """Measure a section.

    Parameters
    ----------
    section : numpy.ndarray
        Shape (y, x), integers.
    """
    there = section != 0
    if not there.any():
        return NOTHING._replace(has_zeros=bool(section.size))
    values, ranks = np.unique(section[there], return_inverse=True)
    own = np.zeros(section.shape, np.intp)
    own[there] = ranks.ravel()
    both = there[:, :-1] & there[:, 1:]
    left = own[:, :-1][both]
    equal = left == own[:, 1:][both]
    counts = np.bincount(left, minlength=len(values))
    alike = np.bincount(left, weights=equal, minlength=len(values))
    return Measure(
        pairs=len(left),
        share=float(equal.mean()) if len(left) else 0.0,
        runs=_mean(alike, counts, counts > 0),
        blobs=_blobs(own, there, len(values)),
        values=len(values),
        low=int(values[0]),
        high=int(values[-1]),
        has_zeros=not there.all(),
    )


def _blobs(own: Voxels, there: Voxels, number: int) -> float:
    """Return how compact values are: the spread of a disc of their size, by their spread."""
    y, x = np.nonzero(there)
    ranks = own[there]
    counts = np.bincount(ranks, minlength=number)
    spread = np.zeros(number)
    for places in (y.astype(float), x.astype(float)):
        mean = np.bincount(ranks, places) / counts
        spread += np.bincount(ranks, (places - mean[ranks]) ** 2) / counts
    disc = counts / (2 * math.pi)
    return _mean(counts * np.minimum(disc / np.maximum(spread, disc), 1), counts, counts >= FEW)


def _mean(sums: Voxels, counts: Voxels, which: Voxels) -> float:
    """Return the mean of the values' own means, weighted by the square roots of their counts."""
    if not which.any():
        return 0.0
    roots = np.sqrt(counts[which])
    return float((sums[which] / roots).sum() / roots.sum())


def joined(measures: Iterable[Measure]) -> Measure:
    """Return the means of several sections, weighted by their pairs."""
    each = list(measures)
    pairs = sum(one.pairs for one in each)
    there = [one for one in each if one.values]
    if not there:
        return NOTHING._replace(has_zeros=any(one.has_zeros for one in each))

    def mean(numbers: Iterable[float]) -> float:
        weights = [max(one.pairs, 1) for one in there]
        return sum(w * n for w, n in zip(weights, numbers, strict=True)) / sum(weights)

    return Measure(
        pairs=pairs,
        share=mean(one.share for one in there),
        runs=mean(one.runs for one in there),
        blobs=mean(one.blobs for one in there),
        values=max(one.values for one in there),
        low=min(one.low for one in there),
        high=max(one.high for one in there),
        has_zeros=any(one.has_zeros for one in each),
    )
