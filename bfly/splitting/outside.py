"""The supervoxels of a split segment that are outside the box of the cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bfly.splitting.libraries import csgraph, sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Assigned", "Links", "assigned"]

ROUGH = 1e6
"""Times the length of a merge edge: more than any way over merge edges alone, so that approximate
links are followed only where those do not lead."""


class Links(NamedTuple):
    """Pairs of supervoxels that may be connected.

    Parameters
    ----------
    pairs : numpy.ndarray
        uint64 of shape (n, 2).
    lengths : numpy.ndarray
        float64, not negative: nanometres between them, or any other distance.
    """

    pairs: NDArray[np.uint64]
    lengths: NDArray[np.float64]


class Assigned(NamedTuple):
    """Every supervoxel of the segment on one side.

    Parameters
    ----------
    sides : numpy.ndarray
        int64, one of the sides that was passed for each supervoxel.
    unreached : numpy.ndarray
        bool: no link leads to a side, so the supervoxel stays with the larger one.
    """

    sides: NDArray[np.int64]
    unreached: NDArray[np.bool_]


def assigned(
    supervoxels: NDArray[np.uint64],
    sizes: NDArray[np.int64],
    sides: NDArray[np.int64],
    merges: Links,
    links: Links,
) -> Assigned:
    """Assign each supervoxel to the side of the nearest one that has a side.

    Parameters
    ----------
    supervoxels : numpy.ndarray
        uint64, those of the whole segment, sorted.
    sizes : numpy.ndarray
        int64, voxels of each.
    sides : numpy.ndarray
        int64, side of each, for those in the box; 0 for those that get one: outside the box, and
        pieces in the box that the cut left aside.
    merges, links : Links
        True edges, and approximate ones such as boxes that touch. A way with fewer approximate
        links, or else shorter ones, is nearer.

    Raises
    ------
    ValueError
        No supervoxel has a side.
    """
    starts = np.flatnonzero(sides)
    if not len(starts):
        raise ValueError("None of the supervoxels has a side.")
    pairs = np.concatenate([merges.pairs, links.pairs])
    exact = merges.lengths / max(float(merges.lengths.max(initial=0)), 1e-9)
    rough = links.lengths / max(float(links.lengths.max(initial=0)), 1e-9)
    # 1 more than a link's length at most: no edge is 0 long, which would mean none.
    lengths = np.concatenate([1 + exact, (1 + rough) * ROUGH])
    ends = np.searchsorted(supervoxels, pairs.T)
    ends[ends == len(supervoxels)] = 0
    is_known = supervoxels[ends] == pairs.T
    is_edge = is_known[0] & is_known[1] & (ends[0] != ends[1])
    # What leads from one side to another is no way to anything else.
    is_edge &= (sides[ends[0]] == 0) | (sides[ends[1]] == 0)
    a, b, lengths = _shortest(len(supervoxels), ends[:, is_edge], lengths[is_edge])
    matrix = sparse().csr_matrix((lengths, (a, b)), shape=(len(supervoxels),) * 2)
    distance, _, nearest = csgraph().dijkstra(
        matrix, directed=False, indices=starts, min_only=True, return_predecessors=True
    )
    is_unreached = ~np.isfinite(distance)
    result = sides[np.where(is_unreached, starts[0], nearest)]
    number, place = np.unique(result[~is_unreached], return_inverse=True)
    larger = number[np.bincount(place, sizes[~is_unreached]).argmax()]
    return Assigned(np.where(is_unreached, larger, result), is_unreached)


def _shortest(
    count: int, ends: NDArray[np.int64], lengths: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return each pair once, with the shortest of its lengths."""
    key = np.minimum(ends[0], ends[1]) * count + np.maximum(ends[0], ends[1])
    order = np.argsort(key)
    keys = key[order]
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    if not len(first):
        return keys, keys, lengths
    return keys[first] // count, keys[first] % count, np.minimum.reduceat(lengths[order], first)
