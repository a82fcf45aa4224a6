"""A skeleton as it is kept and sent: the precomputed format, behind what is known of it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.segments.skeleton import Skeleton

__all__ = ["ATTRIBUTES", "KeptSkeleton"]

ATTRIBUTES = [{"id": "radius", "data_type": "float32", "num_components": 1}]
"""Attributes of the vertices, as the ``info`` of skeletons lists them."""

HEAD = struct.Struct("<BIdd")
"""Mip, branch points, length and mean radius in nanometres."""

COUNTS = struct.Struct("<II")
"""Vertices and edges."""


class KeptSkeleton(NamedTuple):
    """A skeleton and what is known of it.

    Parameters
    ----------
    mip : int
        The mip of the voxels.
    branch_points : int
        Vertices with three or more edges.
    length, mean_radius : float
        The length of all edges, and the radius averaged along them, in nanometres.
    data : bytes
        The skeleton in the precomputed format, all little-endian: the number of vertices and that
        of edges (uint32), x, y, z of each vertex (float32, nanometres), two vertices of each edge
        (uint32), the radius of each vertex (float32, nanometres).
        Source: "Encoded skeleton file format" of Neuroglancer's precomputed format.
    """

    mip: int
    branch_points: int
    length: float
    mean_radius: float
    data: bytes

    @classmethod
    def of(cls, made: Skeleton, mip: int) -> KeptSkeleton:
        """Return a skeleton in nanometres of a mip, parents before children."""
        edges, lengths, radii = made.edges, made.lengths, made.radii
        total = float(lengths.sum())
        mean = float((radii[edges].mean(axis=1) * lengths).sum() / total if total else radii.mean())
        parts = (
            COUNTS.pack(len(made.vertices), len(edges)),
            np.ascontiguousarray(made.vertices[:, ::-1]).astype("<f4").tobytes(),
            edges.astype("<u4").tobytes(),
            radii.astype("<f4").tobytes(),
        )
        return cls(mip, made.branch_points, total, mean, b"".join(parts))

    @property
    def packed(self) -> bytes:
        """The bytes that are kept."""
        head = HEAD.pack(self.mip, self.branch_points, self.length, self.mean_radius)
        return head + self.data

    @classmethod
    def unpacked(cls, packed: bytes) -> KeptSkeleton:
        """Return a skeleton from the bytes of `packed`."""
        mip, branch_points, length, mean_radius = HEAD.unpack_from(packed)
        return cls(mip, branch_points, length, mean_radius, packed[HEAD.size :])

    @property
    def vertices(self) -> NDArray[np.float32]:
        """Positions (x, y, z) in nanometres; shape (n, 3)."""
        count, _ = COUNTS.unpack_from(self.data)
        return np.frombuffer(self.data, "<f4", 3 * count, COUNTS.size).reshape(-1, 3)

    @property
    def radii(self) -> NDArray[np.float32]:
        """Radius of each vertex in nanometres."""
        count, _ = COUNTS.unpack_from(self.data)
        return np.frombuffer(self.data, "<f4", count, len(self.data) - 4 * count)

    @property
    def parents(self) -> NDArray[np.int64]:
        """The parent of each vertex, before it in the order; -1 of a root."""
        count, edges = COUNTS.unpack_from(self.data)
        pairs = np.frombuffer(self.data, "<u4", 2 * edges, COUNTS.size + 12 * count).reshape(-1, 2)
        parents = np.full(count, -1, np.int64)
        parents[pairs[:, 1]] = pairs[:, 0]
        return parents
