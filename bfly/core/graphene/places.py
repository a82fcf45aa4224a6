"""What graphene clients ask of places: contacts of supervoxels in a box, ways in a neuron."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.errors import BadRequest, TooLarge
from bfly.geometry import BoundingBox, zyx
from bfly.registry import needed
from bfly.splitting.contacts import contacts
from bfly.splitting.runs import runs_in

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.segments.kept_skeleton import KeptSkeleton
    from bfly.splitting.contacts import Contacts

    Ids = NDArray[np.uint64]

__all__ = ["box_of_bounds", "contact_sites", "subgraph", "way"]

LARGEST = 1 << 27
"""Voxels of a box, at most."""

_NUMBER = r"(-?\d+(?:\.\d+)?)"
_BOUNDS = re.compile("_".join([f"{_NUMBER}-{_NUMBER}"] * 3))


def box_of_bounds(text: str | None, whole: BoundingBox) -> BoundingBox:
    """Return the box ``x-x_y-y_z-z`` in voxels of mip 0, within a volume.

    Raises
    ------
    BadRequest
        It is no such box.
    TooLarge
        It has too many voxels.
    """
    found = _BOUNDS.fullmatch(text or "")
    if found is None:
        raise BadRequest(f"The bounds {text} are not X-X_Y-Y_Z-Z, in voxels of mip 0.")
    numbers = [float(each) for each in found.groups()]
    start = zyx(math.floor(each) for each in numbers[4::-2])
    stop = zyx(math.ceil(each) for each in numbers[5::-2])
    box = BoundingBox(start, stop) & whole
    if box.size > LARGEST:
        raise TooLarge(f"The bounds {text} have {box.size} voxels; allowed are {LARGEST}.")
    return box


def subgraph(
    voxels: NDArray[Any], members: Ids, voxel_size: tuple[float, float, float]
) -> Contacts:
    """Return where supervoxels of a root touch among the voxels of a box."""
    return contacts(runs_in(np.ascontiguousarray(voxels), members, (0, 0, 0)), voxel_size)


def contact_sites(
    voxels: NDArray[Any], roots: dict[int, int], root: int, voxel_size: tuple[float, float, float]
) -> dict[str, list[float]]:
    """Return the areas of contact of a root with each other one among the voxels of a box.

    Parameters
    ----------
    voxels : numpy.ndarray
        Labels, shape (z, y, x).
    roots : dict
        The root of each label there, but for 0.
    root : int
        The root whose contacts these are.
    voxel_size : tuple of float
        Nanometres (z, y, x).

    Returns
    -------
    dict
        nm² of each contact of supervoxels, by root.
    """
    found = subgraph(voxels, np.array(sorted(roots), np.uint64), voxel_size)
    sites: dict[str, list[float]] = {}
    for pair, area in zip(found.pairs.tolist(), found.areas.tolist(), strict=True):
        ends = [roots[each] for each in pair]
        if ends[0] != ends[1] and root in ends:
            other = ends[1] if ends[0] == root else ends[0]
            sites.setdefault(str(other), []).append(area)
    return sites


def way(made: KeptSkeleton, start: NDArray[Any], stop: NDArray[Any]) -> NDArray[np.float64]:
    """Return the way between two places along a skeleton.

    Parameters
    ----------
    made : KeptSkeleton
        The skeleton.
    start, stop : numpy.ndarray
        x, y, z in nanometres; the nearest vertices count.

    Returns
    -------
    numpy.ndarray
        float64 of shape (n, 3): x, y, z in nanometres.

    Raises
    ------
    BadRequest
        They are in two trees.
    MissingLibrary
        scipy is not installed.
    """
    with needed("skeletons"):
        from scipy.spatial import cKDTree
    _, ends = cKDTree(made.vertices).query(np.stack([start, stop]))
    above = made.parents
    up = [_up(above, int(end)) for end in ends]
    common = set(up[0]) & set(up[1])
    if not common:
        raise BadRequest("There is no way between the points: the skeleton has several trees.")
    first, second = (line[: next(i for i, one in enumerate(line) if one in common)] for line in up)
    top = next(one for one in up[0] if one in common)
    places: NDArray[np.float64] = made.vertices[[*first, top, *reversed(second)]].astype(float)
    return places


def _up(above: NDArray[np.int64], node: int) -> list[int]:
    line = [node]
    while above[line[-1]] >= 0:
        line.append(int(above[line[-1]]))
    return line
