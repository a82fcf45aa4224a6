"""Joining of the fragments of a mesh: each vertex on their borders is there once."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bfly.segments.posting import CELL
from bfly.segments.surface import Surface

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bfly.geometry import Zyx

__all__ = ["Welder", "decoded"]

NEAR = 0.75
"""Voxels from the border of a cell within which a vertex may be shared: it is within half a voxel,
and rounded to float32."""


class Welder:
    """Numbers the vertices of fragments that follow each other in the order of their cells.

    The memory is that of the vertices on borders of cells of two layers: 16 bytes each.

    Parameters
    ----------
    voxel_size : tuple of float
        Nanometres of a voxel of the mip (z, y, x).
    """

    def __init__(self, voxel_size: tuple[float, ...]) -> None:
        self._cell = np.multiply(CELL, voxel_size)[::-1]
        self._near = NEAR * np.array(voxel_size)[::-1]
        self._borders: dict[Zyx, _Border] = {}
        self.vertices = 0

    def add(self, cell: Zyx, fragment: Surface) -> Surface:
        """Return the vertices of a fragment that are new, and its triangles in the whole mesh.

        Parameters
        ----------
        cell : tuple of int
            Its cell (z, y, x).
        fragment : Surface
            Vertices of type float32 in nanometres (x, y, z); equal ones have equal bytes.
        """
        vertices, triangles = fragment
        away = np.abs(vertices - np.round(vertices / self._cell) * self._cell)
        border = np.flatnonzero((away < self._near).any(axis=1))
        places = np.ascontiguousarray(vertices[border], "<f4").view("<u4")
        numbers = np.full(len(vertices), -1, np.int64)
        numbers[border] = self._known(cell, places)
        is_new = numbers < 0
        count = int(np.count_nonzero(is_new))
        numbers[is_new] = np.arange(self.vertices, self.vertices + count)
        self.vertices += count
        self._borders[cell] = _Border(places, numbers[border].astype(np.uint32))
        return Surface(vertices[is_new], numbers.astype(np.uint32)[triangles])

    def _known(self, cell: Zyx, places: NDArray[np.uint32]) -> NDArray[np.int64]:
        """Return the numbers of vertices that fragments of neighbouring cells have, or -1."""
        self._borders = {at: each for at, each in self._borders.items() if at[0] >= cell[0] - 1}
        steps = product((-1, 0, 1), repeat=3)
        around = [(cell[0] + z, cell[1] + y, cell[2] + x) for z, y, x in steps]
        near = [self._borders[at] for at in around if at in self._borders]
        before = np.concatenate([*(each.numbers for each in near), np.empty(0, np.uint32)])
        every = np.concatenate([*(each.places for each in near), places])
        numbers = np.full(len(every), -1, np.int64)
        numbers[: len(before)] = before
        # The order is stable: of equal places, those with a number are first.
        order = np.lexsort(every.T)
        is_first = np.ones(len(every), bool)
        is_first[1:] = (every[order[1:]] != every[order[:-1]]).any(axis=1)
        first = order[np.flatnonzero(is_first)]
        numbers[order] = numbers[first][np.cumsum(is_first) - 1]
        return numbers[len(before) :]


class _Border(NamedTuple):
    """Vertices on the border of a cell: the bits of their coordinates, and their numbers."""

    places: NDArray[np.uint32]
    numbers: NDArray[np.uint32]


def decoded(data: bytes) -> Surface:
    """Return a mesh from the legacy format, as `bfly.segments.fragments.encoded` writes it."""
    count = int.from_bytes(data[:4], "little")
    vertices: NDArray[np.float32] = np.frombuffer(data, "<f4", 3 * count, 4).reshape(-1, 3)
    triangles = np.frombuffer(data, "<u4", offset=4 + vertices.nbytes).reshape(-1, 3)
    return Surface(vertices, triangles)
