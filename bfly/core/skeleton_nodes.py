"""The nearest node of a neuron's skeleton for each of its synapses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bfly.connectome.annotation_format import middles
from bfly.registry import needed
from bfly.tables.columns import ENDS, IDS, POINT

if TYPE_CHECKING:
    from collections.abc import Callable

    from bfly.segments.kept_skeleton import KeptSkeleton
    from bfly.tables.columns import Columns

__all__ = ["nearest_nodes"]


def nearest_nodes(
    made: KeptSkeleton, neuron: int, voxel_size: tuple[float, float, float]
) -> Callable[[Columns], Columns]:
    """Return a function that adds the nearest node of a skeleton to synapses.

    It is the nearest to the end of the synapse in the neuron, if the table has both ends, or else
    to its position. ``skeleton_node`` is a number of SWC, and ``skeleton_distance_nm`` how far
    that node is.

    Parameters
    ----------
    made : KeptSkeleton
        The skeleton.
    neuron : int
        Its neuron.
    voxel_size : tuple of float
        Nanometres (z, y, x) at mip 0.

    Raises
    ------
    MissingLibrary
        scipy is not installed.
    """
    with needed("skeletons"):
        from scipy.spatial import cKDTree
    tree = cKDTree(made.vertices)

    def add(synapses: Columns) -> Columns:
        places = middles(synapses, POINT)
        for names, key in zip(ENDS, IDS["synapse"][1:], strict=True):
            if all(name in synapses for name in names):
                end = middles(synapses, names)
                own = (synapses[key] == np.uint64(neuron)) & ~np.isnan(end).any(axis=1)
                places = np.where(own[:, None], end, places)
        apart, nodes = tree.query(places * np.array(voxel_size[::-1]))
        return {**synapses, "skeleton_node": nodes + 1, "skeleton_distance_nm": apart}

    return add
