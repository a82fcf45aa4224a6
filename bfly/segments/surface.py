"""The surface of a set of voxels as triangles, computed part by part without gaps between parts."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Surface", "surface"]

CORNERS = tuple(product((0, 1), repeat=3))
"""Corners (z, y, x) of a cube between the centres of 2 × 2 × 2 voxels, in the order of the bits of
its code."""


STEPS = 256
"""Places of a vertex along a voxel."""


def _table() -> NDArray[np.float64]:
    """Return the place of the vertex in a cube, by its code: the mean of its crossed edges."""
    places = np.zeros((256, 3))
    corners = np.array(CORNERS)
    edges = [(a, b) for a, b in product(range(8), repeat=2) if a < b]
    edges = [(a, b) for a, b in edges if abs(corners[a] - corners[b]).sum() == 1]
    for code in range(1, 255):
        inside = [code >> corner & 1 for corner in range(8)]
        middles = [(corners[a] + corners[b]) / 2 for a, b in edges if inside[a] != inside[b]]
        places[code] = np.mean(middles, axis=0)
    # Sums with whole numbers are exact then, in whichever part a vertex is computed.
    return np.round(places * STEPS) / STEPS


PLACES = _table()

LAST = 7
"""The corner of a cube that is last on all axes."""

PAIRS = [
    np.array([(code >> LAST ^ code >> (LAST - (4 >> axis))) & 1 for code in range(256)], bool)
    for axis in range(3)
]
"""Whether the last edge along each axis is crossed, by the code of a cube."""


class Surface(NamedTuple):
    """Triangles.

    Parameters
    ----------
    vertices : numpy.ndarray
        Floats of shape (n, 3): z, y, x in voxels; the first voxel spans 0 to 1.
    triangles : numpy.ndarray
        uint32 of shape (m, 3): three vertices, counter-clockwise seen from outside in a space in
        which x, y and z form a right-handed system.
    """

    vertices: NDArray[np.floating[Any]]
    triangles: NDArray[np.uint32]


def surface(mask: np.ndarray[Any, np.dtype[np.bool_]]) -> Surface:
    """Return the surface between the voxels of a mask and those around them.

    These are surface nets: one vertex in each cube between 2 × 2 × 2 voxels of both kinds, one
    quadrilateral around each pair of neighbours of both kinds. A vertex depends on the eight
    voxels alone, and a pair belongs to its first voxel. So the surfaces of boxes of voxels side by
    side have the same vertices along their common border, and all triangles of the whole once.
    A plane through voxel faces stays where it is. (S. Gibson, Constrained elastic surface nets,
    MICCAI 1998, without the relaxation.)

    Parameters
    ----------
    mask : numpy.ndarray
        bool of three axes (z, y, x): the voxels, and one more on each of the six sides.

    Returns
    -------
    Surface
        The first voxel is the first that has voxels on all sides.
    """
    codes = _codes(mask)
    shape, flat = codes.shape, codes.ravel()
    # All but 0 and 255, at which all voxels are of one kind.
    crossed = np.flatnonzero(flat + np.uint8(1) > 1)
    own_codes, places = flat[crossed], np.unravel_index(crossed, shape)
    numbers = np.empty(flat.size, np.uint32)
    numbers[crossed] = np.arange(len(crossed), dtype=np.uint32)
    strides = shape[1] * shape[2], shape[2], 1
    quads = []
    for axis in range(3):
        others = [each for each in range(3) if each != axis]
        # The cube whose last edge along the axis is the pair's: it has the pair's first voxel, and
        # the one before it on the other axes.
        is_pair = PAIRS[axis][own_codes] & (places[axis] > 0)
        for each in others:
            is_pair &= places[each] < shape[each] - 1
        some = np.flatnonzero(is_pair)
        cube = crossed[some]
        first, second = (strides[each] for each in others)
        around = numbers[np.stack([cube, cube + second, cube + second + first, cube + first], 1)]
        # Along y the remaining axes are z and x, whose order is the other way round.
        is_first_inside = own_codes[some] >> np.uint8(LAST - (4 >> axis)) & np.uint8(1) != 0
        is_turned = is_first_inside == (axis == 1)
        around[is_turned] = around[is_turned, ::-1]
        quads.append(around)
    corners = np.concatenate(quads)
    used = np.zeros(len(crossed), bool)
    used[corners] = True
    renumbered = np.cumsum(used, dtype=np.uint32) - np.uint32(1)
    corners = renumbered[corners]
    cubes = np.stack([along[used] for along in places], axis=1)
    vertices = cubes + (PLACES[own_codes[used]] - 0.5)
    return Surface(vertices, corners[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3))


def _codes(mask: np.ndarray[Any, np.dtype[np.bool_]]) -> NDArray[np.uint8]:
    """Return the code of each cube: a bit for each corner that is inside."""
    voxels = mask.view(np.uint8)
    rows = voxels[:, :, :-1] | voxels[:, :, 1:] << np.uint8(1)
    faces = rows[:, :-1] | rows[:, 1:] << np.uint8(2)
    codes: NDArray[np.uint8] = faces[:-1] | faces[1:] << np.uint8(4)
    return codes
