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


class Surface(NamedTuple):
    """Triangles.

    Parameters
    ----------
    vertices : numpy.ndarray
        float64 of shape (n, 3): z, y, x in voxels; the first voxel spans 0 to 1.
    triangles : numpy.ndarray
        uint32 of shape (m, 3): three vertices, counter-clockwise seen from outside in a space in
        which x, y and z form a right-handed system.
    """

    vertices: NDArray[np.float64]
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
    cubes = tuple(side - 1 for side in mask.shape)
    codes = np.zeros(cubes, np.uint8)
    for bit, start in enumerate(CORNERS):
        part = mask[tuple(slice(at, at + side) for at, side in zip(start, cubes, strict=True))]
        codes |= part.view(np.uint8) << np.uint8(bit)
    flat = codes.ravel()
    crossed = np.flatnonzero((flat != 0) & (flat != 255))
    numbers = np.zeros(flat.size, np.uint32)
    numbers[crossed] = np.arange(len(crossed), dtype=np.uint32)
    strides = cubes[1] * cubes[2], cubes[2], 1
    own = mask[1:-1, 1:-1, 1:-1]
    quads = []
    for axis, stride in enumerate(strides):
        ahead = tuple(slice(2, None) if each == axis else slice(1, -1) for each in range(3))
        places = np.nonzero(own != mask[ahead])
        # The cube behind the pair's first voxel on all axes but that of the pair.
        cube = sum(place * step for place, step in zip(places, strides, strict=True)) + stride
        first, second = (step for each, step in enumerate(strides) if each != axis)
        around = numbers[np.stack([cube, cube + second, cube + second + first, cube + first], 1)]
        # Along y the remaining axes are z and x, whose order is the other way round.
        is_turned = own[places] == (axis == 1)
        around[is_turned] = around[is_turned, ::-1]
        quads.append(around)
    corners = np.concatenate(quads)
    used = np.zeros(len(crossed), bool)
    used[corners] = True
    renumbered = np.cumsum(used, dtype=np.uint32) - np.uint32(1)
    corners = renumbered[corners]
    crossed = crossed[used]
    vertices = np.stack(np.unravel_index(crossed, cubes), axis=1) + (PLACES[flat[crossed]] - 0.5)
    return Surface(vertices, corners[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3))
