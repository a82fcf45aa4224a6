"""Connected components of a graph, by arrays.

Roots are hooked to lower ones and paths are halved, all at once (Y. Shiloach and U. Vishkin, "An
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
    """Give a label to each of some nodes, the same to those that edges connect.

    Parameters
    ----------
    count : int
        The nodes are the numbers below it.
    a, b : numpy.ndarray
        The ends of each edge.

    Returns
    -------
    numpy.ndarray
        The label of each node: the number of a node that it is connected with and that has the
        same label, or its own number.
    """
    label = np.arange(count)
    while True:
        ends = np.sort(np.stack([label[a], label[b]]), axis=0)
        apart = ends[0] != ends[1]
        if not apart.any():
            return label
        a, b = ends[0][apart], ends[1][apart]
        # Of several lower ends any will do: what is not connected by it is in the next round.
        label[b] = a
        while not np.array_equal(label, shorter := label[label]):
            label = shorter
