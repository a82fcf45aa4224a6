"""The sides of all supervoxels of a segment, after a cut in a box."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bfly.splitting.min_cut import SINK
from bfly.splitting.outside import Links, assigned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bfly.segments.segments import Segments
    from bfly.splitting.bonds import Bonds
    from bfly.splitting.min_cut import Cut

    Ids = NDArray[np.uint64]

__all__ = ["everywhere"]

NEAR = 8
"""Neighbours that a part of a supervoxel outside the box may hang on."""


def everywhere(
    members: Ids,
    found: Cut,
    bonds: Bonds,
    points: Sequence[Ids],
    segments: Segments | None,
    voxel_size: tuple[float, float, float],
) -> NDArray[np.int64]:
    """Return the side of each supervoxel: those that the cut left aside go to the nearest one.

    Parameters
    ----------
    members : numpy.ndarray
        uint64, sorted: the supervoxels of the segment.
    found : Cut
        Those in the box.
    bonds : Bonds
        What the log says.
    points : sequence of numpy.ndarray
        uint64, the supervoxels of the points of both groups.
    segments : Segments, optional
        Where supervoxels are, if the label index is there.
    voxel_size : tuple of float
        Nanometres (z, y, x).
    """
    sides = np.zeros(len(members), np.int64)
    sides[np.searchsorted(members, found.supervoxels)] = np.where(
        found.sides <= SINK, found.sides, 0
    )
    sides, pairs = bonds.spread(sides, *points)
    if sides.all():
        return sides
    sizes = np.ones(len(members), np.int64)
    links = Links(np.empty((0, 2), np.uint64), np.empty(0))
    if segments is not None:
        postings = segments.index.postings(members)
        sizes = np.bincount(
            np.searchsorted(members, postings["label"]), postings["voxels"], len(members)
        ).astype(np.int64)
        links = _links(postings, np.array(voxel_size))
    merges = Links(pairs, np.ones(len(pairs)))
    return assigned(members, sizes, sides, merges, links).sides


def _links(postings: NDArray[np.void], size: NDArray[np.float64]) -> Links:
    """Return each part of a supervoxel in a cell with its nearest ones."""
    from scipy.spatial import cKDTree

    middles = (postings["low"].astype(np.float64) + postings["high"]) / 2 * size
    count = min(NEAR + 1, len(postings))
    lengths, near = cKDTree(middles).query(middles, count)
    lengths, near = lengths.reshape(-1, count), near.reshape(-1, count)
    here = np.repeat(np.arange(len(postings)), count)
    labels = postings["label"]
    return Links(np.stack([labels[here], labels[near.ravel()]], axis=1), lengths.ravel())
