"""Cuts of triangles by planes, the same on both sides of a plane."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bfly.segments.surface import Surface

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["clipped", "cut", "sides"]


def cut(mesh: Surface, axis: int, at: float) -> Surface:
    """Return the same surface with no triangle that crosses a plane.

    A new vertex depends on the two ends of its edge alone, so that meshes that share an edge share
    the vertex.

    Parameters
    ----------
    mesh : Surface
        The triangles.
    axis : int
        Axis that the plane is perpendicular to: 0 (z), 1 (y) or 2 (x).
    at : float
        Its place along the axis, in the unit of the vertices.
    """
    vertices, triangles = mesh
    signs = np.sign(vertices[:, axis] - at).astype(np.int8)
    corners = signs[triangles]
    crosses = (corners.min(axis=1, initial=1) < 0) & (corners.max(axis=1, initial=-1) > 0)
    if not crosses.any():
        return mesh
    crossed, corners = triangles[crosses], corners[crosses]
    # The first corner becomes the one on the plane, or else the one that is alone on its side.
    total = corners.sum(axis=1)
    has_zero = (corners == 0).any(axis=1)
    alone = np.where(has_zero[:, np.newaxis], corners == 0, corners == -total[:, np.newaxis])
    order = (np.argmax(alone, axis=1)[:, np.newaxis] + np.arange(3)) % 3
    first, second, third = np.take_along_axis(crossed, order, axis=1).astype(np.int64).T
    # Of a triangle with a corner on the plane, the opposite edge crosses; else those of the first.
    ends = np.concatenate(
        [
            np.stack([np.where(has_zero, third, first), second], axis=1),
            np.stack([first, third], axis=1)[~has_zero],
        ]
    )
    ends = np.take_along_axis(ends, np.argsort(signs[ends], axis=1), axis=1)
    keys, inverse = np.unique(ends[:, 0] * len(vertices) + ends[:, 1], return_inverse=True)
    low, high = (vertices[part] for part in np.divmod(keys, len(vertices)))
    share = (at - low[:, axis]) / (high[:, axis] - low[:, axis])
    added = low + share[:, np.newaxis] * (high - low)
    added[:, axis] = at
    new = len(vertices) + inverse
    one = new[: len(first)]
    a, b, c, p = (each[has_zero] for each in (first, second, third, one))
    d, e, f, q = (each[~has_zero] for each in (first, second, third, one))
    r = new[len(first) :]
    parts = [(a, b, p), (a, p, c), (d, q, r), (q, e, f), (q, f, r)]
    made = np.concatenate([np.stack(part, axis=1) for part in parts]).astype(np.uint32)
    return Surface(np.concatenate([vertices, added]), np.concatenate([triangles[~crosses], made]))


def sides(mesh: Surface, axis: int, at: float) -> NDArray[np.bool_]:
    """Return which triangles are above a plane that none crosses; those in the plane are."""
    places = mesh.vertices[:, axis][mesh.triangles] - at
    is_above: NDArray[np.bool_] = places.min(axis=1, initial=np.inf) >= 0
    return is_above


def clipped(mesh: Surface, start: Sequence[float | None], stop: Sequence[float | None]) -> Surface:
    """Return the part of a surface in a box, without what is in its upper faces.

    Parameters
    ----------
    mesh : Surface
        The triangles.
    start, stop : sequence of float or None
        Places of the faces (z, y, x); None where the box has no end.
    """
    for axis in range(3):
        for at, is_lower in ((start[axis], True), (stop[axis], False)):
            if at is None or not len(mesh.triangles):
                continue
            mesh = cut(mesh, axis, at)
            kept = sides(mesh, axis, at) == is_lower
            mesh = Surface(mesh.vertices, mesh.triangles[kept])
    return mesh
