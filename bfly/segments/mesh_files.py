"""Mesh files: OBJ, PLY, STL and GLB, written part by part from a mesh on disk."""

from __future__ import annotations

import json
import struct
from contextlib import ExitStack
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from bfly.segments.surface import Surface

__all__ = ["MESH_FORMATS", "MeshOnDisk", "written"]

MESH_FORMATS = {
    "obj": "model/obj",
    "ply": "application/octet-stream",
    "stl": "model/stl",
    "glb": "model/gltf-binary",
}
"""Media types of the formats, as IANA registers them; PLY has none."""

ROWS = 1 << 16
"""Vertices or triangles that are in memory at once."""

FACET = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
"""A triangle of STL; 50 bytes. Source: 3D Systems' description of the binary format."""

FACE = np.dtype([("count", "u1"), ("corners", "<u4", 3)])
"""A face of the PLY files that are written here."""

FLOAT, UNSIGNED, TRIANGLES = 5126, 5125, 4
"""Codes of glTF 2.0: float32 and uint32 components, and the mode of a primitive."""

MAGIC, JSON, BINARY = 0x46546C67, 0x4E4F534A, 0x004E4942
"""Codes of GLB, glTF 2.0 section 4.4: ``glTF``, and the types of its two chunks."""


class MeshOnDisk:
    """A mesh in temporary files, which are removed when the context ends.

    Attributes
    ----------
    vertices, triangles : int
        Their numbers.
    low, high : numpy.ndarray
        float32, the bounding box (x, y, z).
    """

    def __init__(self) -> None:
        with ExitStack() as files:
            self._vertices = files.enter_context(TemporaryFile())
            self._triangles = files.enter_context(TemporaryFile())
            self._files = files.pop_all()
        self.vertices = self.triangles = 0
        self.low = np.full(3, np.inf, np.float32)
        self.high = np.full(3, -np.inf, np.float32)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def add(self, part: Surface) -> None:
        """Append vertices (x, y, z), and triangles that refer to all vertices.

        Raises
        ------
        OSError
            The disk is full.
        """
        vertices = part.vertices.astype("<f4")
        self._vertices.write(vertices.tobytes())
        self._triangles.write(part.triangles.astype("<u4").tobytes())
        self.vertices += len(vertices)
        self.triangles += len(part.triangles)
        if len(vertices):
            self.low = np.minimum(self.low, vertices.min(axis=0))
            self.high = np.maximum(self.high, vertices.max(axis=0))

    def all_vertices(self) -> NDArray[np.float32]:
        """Return the vertices, float32 of shape (n, 3), as pages of the file."""
        self._vertices.flush()
        return np.memmap(self._vertices, "<f4", "r", shape=(self.vertices, 3))

    def parts(self, of: str) -> Iterator[NDArray[Any]]:
        """Yield the ``vertices`` or ``triangles``, part by part, of shape (n, 3)."""
        file, dtype = (self._vertices, "<f4") if of == "vertices" else (self._triangles, "<u4")
        file.seek(0)
        while data := file.read(12 * ROWS):
            yield np.frombuffer(data, dtype).reshape(-1, 3)


def written(mesh: MeshOnDisk, format: str) -> Iterator[bytes]:  # noqa: A002
    """Yield a file, part by part.

    Coordinates are those of the mesh in all formats, and so is the order of its triangles'
    corners: counter-clockwise from outside.

    Parameters
    ----------
    mesh : MeshOnDisk
        It has triangles.
    format : str
        One of `MESH_FORMATS`.
    """
    writers: dict[str, Callable[[MeshOnDisk], Iterator[bytes]]] = {
        "obj": _obj,
        "ply": _ply,
        "stl": _stl,
        "glb": _glb,
    }
    return writers[format](mesh)


def _obj(mesh: MeshOnDisk) -> Iterator[bytes]:
    for vertices in mesh.parts("vertices"):
        # Nine digits tell any two numbers of float32 apart.
        yield (b"v %.9g %.9g %.9g\n" * len(vertices)) % tuple(vertices.ravel().tolist())
    for triangles in mesh.parts("triangles"):
        corners = (triangles.astype(np.int64) + 1).ravel().tolist()
        yield (b"f %d %d %d\n" * len(triangles)) % tuple(corners)


def _ply(mesh: MeshOnDisk) -> Iterator[bytes]:
    lines = (
        "ply",
        "format binary_little_endian 1.0",
        "comment nanometres",
        f"element vertex {mesh.vertices}",
        *(f"property float {axis}" for axis in "xyz"),
        f"element face {mesh.triangles}",
        "property list uchar uint vertex_indices",
        "end_header",
    )
    yield "".join(f"{line}\n" for line in lines).encode()
    for vertices in mesh.parts("vertices"):
        yield vertices.tobytes()
    for triangles in mesh.parts("triangles"):
        faces = np.empty(len(triangles), FACE)
        faces["count"], faces["corners"] = 3, triangles
        yield faces.tobytes()


def _stl(mesh: MeshOnDisk) -> Iterator[bytes]:
    # A header that begins with "solid" is taken for text.
    yield b"binary, nanometres".ljust(80) + struct.pack("<I", mesh.triangles)
    vertices = mesh.all_vertices()
    for triangles in mesh.parts("triangles"):
        facets = np.zeros(len(triangles), FACET)
        corners = facets["corners"] = vertices[triangles]
        a, b, c = corners.astype(np.float64).transpose(1, 0, 2)
        normals = np.cross(b - a, c - a)
        lengths = np.linalg.norm(normals, axis=1, keepdims=True)
        facets["normal"] = normals / np.where(lengths, lengths, 1)
        yield facets.tobytes()


def _glb(mesh: MeshOnDisk) -> Iterator[bytes]:
    split, size = 12 * mesh.vertices, 12 * (mesh.vertices + mesh.triangles)
    places = {"bufferView": 0, "componentType": FLOAT, "count": mesh.vertices, "type": "VEC3"}
    corners = {"bufferView": 1, "componentType": UNSIGNED, "count": 3 * mesh.triangles}
    about = {
        "asset": {"version": "2.0", "generator": "Butterfly", "extras": {"unit": "nm"}},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [
            {"primitives": [{"attributes": {"POSITION": 0}, "indices": 1, "mode": TRIANGLES}]}
        ],
        "accessors": [
            {**places, "min": mesh.low.tolist(), "max": mesh.high.tolist()},
            {**corners, "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": split},
            {"buffer": 0, "byteOffset": split, "byteLength": size - split},
        ],
        "buffers": [{"byteLength": size}],
    }
    text = json.dumps(about).encode()
    text += b" " * (-len(text) % 4)
    length = 12 + 8 + len(text) + 8 + size
    yield struct.pack("<5I", MAGIC, 2, length, len(text), JSON) + text
    yield struct.pack("<2I", size, BINARY)
    for vertices in mesh.parts("vertices"):
        yield vertices.tobytes()
    for triangles in mesh.parts("triangles"):
        yield triangles.tobytes()
