"""The nodes of all levels of one segment, completed to an octree."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bfly.segments.multires import z_order

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LevelNodes", "octree"]


class LevelNodes(NamedTuple):
    """Nodes of a level in the order in which they are listed.

    Parameters
    ----------
    nodes : numpy.ndarray
        int64 of shape (n, 3): z, y, x.
    sources : numpy.ndarray
        int64, the place of each node's fragment; -1 for a node without triangles.
    """

    nodes: NDArray[np.int64]
    sources: NDArray[np.int64]


def octree(
    levels: NDArray[np.integer], nodes: NDArray[np.integer], eighths: NDArray[np.integer]
) -> list[LevelNodes]:
    """Return the levels of a segment, from 0 to the last before one without triangles.

    A viewer goes from a node to its children, and draws an eighth of a node until the child is
    there. So a node has a child wherever it has triangles, and each node has a parent; those that
    are missing are empty.

    Parameters
    ----------
    levels : numpy.ndarray
        Level of each fragment.
    nodes : numpy.ndarray
        Its node, of shape (n, 3): z, y, x.
    eighths : numpy.ndarray
        A bit for each eighth with triangles, as `bfly.segments.multires.split` returns them.
    """
    there = set(np.unique(levels).tolist())
    count = next(level for level in range(len(there) + 1) if level not in there)
    places = [np.flatnonzero(levels == level) for level in range(count)]
    own = [nodes[place].astype(np.int64) for place in places]
    needed = [[each] for each in own]
    for level in range(1, count):
        for bit, child in enumerate(product((0, 1), repeat=3)):
            has = eighths[places[level]] >> bit & 1 == 1
            needed[level - 1].append(own[level][has] * 2 + child)
    result = []
    parents = np.empty((0, 3), np.int64)
    for level in range(count):
        every = np.unique(np.concatenate([*needed[level], parents]), axis=0)
        every = every[z_order(every)]
        found = {
            tuple(node): at
            for node, at in zip(own[level].tolist(), places[level].tolist(), strict=True)
        }
        sources = [found.get(tuple(node), -1) for node in every.tolist()]
        result.append(LevelNodes(every, np.array(sources, np.int64)))
        parents = every // 2
    return result
