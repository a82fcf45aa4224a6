"""Meshes of several resolutions: their fragments and their index, as clients read them.

The format: "Multi-resolution mesh format" in ``src/datasource/precomputed/meshes.md`` of the
Neuroglancer repository.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bfly import registry
from bfly.segments.clipping import cut, sides
from bfly.segments.surface import Surface

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = [
    "INFO",
    "Manifest",
    "check_library",
    "draco",
    "one_fragment",
    "sizes_in",
    "split",
    "z_order",
]

BITS = 16
"""Bits of a coordinate within its node. Neuroglancer takes 10 and 16: 16 are steps of a 512th of a
voxel or less at level 0."""

TOP = (1 << BITS) - 1

COMPRESSION = 7
"""Level of Draco, of 0 to 10."""

INFO: dict[str, Any] = {
    "@type": "neuroglancer_multilod_draco",
    "vertex_quantization_bits": BITS,
    "transform": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0],
    "lod_scale_multiplier": 1,
}
"""The ``info`` of the folder: vertices are nanometres as they are."""


def check_library() -> None:
    """Raise `MissingLibrary` unless meshes can be compressed."""
    with registry.needed("bfly mesh"):
        import DracoPy  # noqa: F401


def split(mesh: Surface, start: Sequence[float], size: Sequence[float]) -> tuple[Surface, int]:
    """Cut the triangles of a node in the planes that halve it.

    Parameters
    ----------
    mesh : Surface
        Triangles in the node.
    start, size : sequence of float
        The node (z, y, x), in the unit of the vertices.

    Returns
    -------
    mesh : Surface
        Triangles of which each is in one eighth of the node.
    eighths : int
        A bit for each eighth with triangles: bit x + 2 y + 4 z.
    """
    middle = [begin + side / 2 for begin, side in zip(start, size, strict=True)]
    for axis in range(3):
        mesh = cut(mesh, axis, middle[axis])
    eighth = np.zeros(len(mesh.triangles), np.uint8)
    for axis, bit in ((2, 1), (1, 2), (0, 4)):
        eighth |= sides(mesh, axis, middle[axis]).astype(np.uint8) * np.uint8(bit)
    return mesh, sum(1 << int(each) for each in np.unique(eighth))


def draco(mesh: Surface, start: Sequence[float], size: Sequence[float]) -> bytes:
    """Return the triangles of a node, compressed; b"" if none is left.

    Vertices are rounded to `BITS` bits of the node, and those that coincide are joined. Triangles
    that become a line or a point are left out.

    Raises
    ------
    MissingLibrary
        DracoPy is not installed.
    """
    check_library()
    import DracoPy

    places = np.rint((mesh.vertices - start) / np.array(size, float) * TOP).astype(np.int64)
    keys = (places[:, 0] << 2 * BITS) | (places[:, 1] << BITS) | places[:, 2]
    triangles = keys[mesh.triangles]
    a, b, c = triangles.T
    triangles = triangles[(a != b) & (b != c) & (c != a)]
    if not len(triangles):
        return b""
    used, corners = np.unique(triangles, return_inverse=True)
    points = np.stack([used & TOP, used >> BITS & TOP, used >> 2 * BITS], axis=1)
    data: bytes = DracoPy.encode(
        points.astype(np.float32),
        corners.reshape(-1, 3).astype(np.uint32),
        quantization_bits=BITS,
        compression_level=COMPRESSION,
        quantization_range=TOP,
        quantization_origin=[0, 0, 0],
    )
    return data


def z_order(nodes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the order in which nodes of a level are listed.

    Parameters
    ----------
    nodes : numpy.ndarray
        Of shape (n, 3): z, y, x.
    """
    codes = np.zeros(len(nodes), np.uint64)
    for bit in range(21):
        for place, axis in enumerate((2, 1, 0)):
            one = (nodes[:, axis] >> bit & 1).astype(np.uint64)
            codes |= one << np.uint64(3 * bit + place)
    return np.argsort(codes, kind="stable")


class Manifest(NamedTuple):
    """The index of the fragments of a segment.

    Parameters
    ----------
    origin, size : tuple of float
        First corner of the node (0, 0, 0), and size of a node of level 0 (z, y, x), nanometres.
    scales : tuple of float
        Nanometres that a level resolves.
    nodes : tuple of numpy.ndarray
        Nodes of each level in the order of `z_order`, of shape (n, 3): z, y, x.
    sizes : tuple of numpy.ndarray
        Bytes of their fragments; 0 where a node has no triangles.
    """

    origin: tuple[float, ...]
    size: tuple[float, ...]
    scales: tuple[float, ...]
    nodes: tuple[NDArray[np.int64], ...]
    sizes: tuple[NDArray[np.int64], ...]

    def encoded(self) -> bytes:
        """Return the bytes that clients read."""
        count = len(self.scales)
        parts = [
            struct.pack("<6fI", *self.size[::-1], *self.origin[::-1], count),
            np.array(self.scales, "<f4").tobytes(),
            bytes(12 * count),
            np.array([len(nodes) for nodes in self.nodes], "<u4").tobytes(),
        ]
        for nodes, sizes in zip(self.nodes, self.sizes, strict=True):
            parts += [nodes[:, ::-1].T.astype("<u4").tobytes(), sizes.astype("<u4").tobytes()]
        return b"".join(parts)


def sizes_in(index: bytes) -> NDArray[np.int64]:
    """Return the bytes of all fragments that an index lists, in the order of the data."""
    (count,) = struct.unpack_from("<I", index, 24)
    at = 28 + 16 * count
    numbers = np.frombuffer(index, "<u4", count, at).tolist()
    at += 4 * count
    sizes = [np.empty(0, np.int64)]
    for number in numbers:
        sizes.append(np.frombuffer(index, "<u4", number, at + 12 * number).astype(np.int64))
        at += 16 * number
    return np.concatenate(sizes)


def one_fragment(mesh: Surface) -> tuple[bytes, bytes]:
    """Return the index and the data of a mesh of one level and one fragment.

    Parameters
    ----------
    mesh : Surface
        Vertices in nanometres (x, y, z).
    """
    places = mesh.vertices[:, ::-1]
    low, high = places.min(axis=0), places.max(axis=0)
    # Clients read float32: the node has to be the one that they see.
    start = np.nextafter(low.astype(np.float32), np.float32(-np.inf)).astype(float)
    size = np.nextafter((high - start).astype(np.float32), np.float32(np.inf)).astype(float)
    data = draco(Surface(places, mesh.triangles), start.tolist(), size.tolist())
    nodes = np.zeros((1, 3), np.int64)
    manifest = Manifest(
        tuple(start.tolist()), tuple(size.tolist()), (1.0,), (nodes,), (np.array([len(data)]),)
    )
    return manifest.encoded(), data
