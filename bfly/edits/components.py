"""Connected components of a graph, in array operations.

Each round hooks all roots to lower ones and halves all paths (Y. Shiloach and U. Vishkin, "An
O(log n) parallel connectivity algorithm", Journal of Algorithms 3, 1982).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Places = NDArray[np.int64]

__all__ = ["components"]


def components(count: int, a: Places, b: Places) -> Places:
    """Label nodes by connected component.

    Parameters
    ----------
    count : int
        Number of nodes, which are 0 to ``count - 1``.
    a, b : numpy.ndarray
        Ends of each edge.

    Returns
    -------
    numpy.ndarray
        Label of each node: the number of one node of its component.
    """
    label = np.arange(count)
    while True:
        ends = np.sort(np.stack([label[a], label[b]]), axis=0)
        apart = ends[0] != ends[1]
        if not apart.any():
            return label
        a, b = ends[0][apart], ends[1][apart]
        # Any of several lower ends will do: the next round connects the others.
        label[b] = a
        while not np.array_equal(label, shorter := label[label]):
            label = shorter
