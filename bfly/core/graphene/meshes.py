"""Meshes for graphene clients: fragments of a root, compressed by Draco.

Fragments are those of the other protocols, rounded to a grid that all of them share, so that they
still meet without a gap. The key before a name stays while the fragment does: a viewer fetches
only what an edit has changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bfly import registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bfly.segments.surface import Surface

__all__ = ["draco_on_grid", "step_of"]

PARTS = 32
"""Steps of the grid in a voxel, at least."""

MOST_BITS = 30
"""Most bits of a coordinate for Draco."""

COMPRESSION = 1
"""Level of Draco, of 0 to 10: on demand, time counts."""


def step_of(voxel_size: Sequence[float]) -> float:
    """Return the step of the grid: a power of two, which float32 holds exactly."""
    return float(2.0 ** np.floor(np.log2(min(voxel_size) / PARTS)))


def draco_on_grid(mesh: Surface, step: float) -> bytes:
    """Return a mesh in nanometres, compressed.

    Raises
    ------
    MissingLibrary
        DracoPy is not installed.
    """
    with registry.needed("graphene meshes"):
        import DracoPy
    points = np.rint(mesh.vertices / step)
    low = points.min(axis=0)
    extent = int(max(1, (points - low).max()))
    bits = min(MOST_BITS, extent.bit_length())
    data: bytes = DracoPy.encode(
        (points * step).astype(np.float32),
        mesh.triangles.astype(np.uint32),
        quantization_bits=bits,
        compression_level=COMPRESSION,
        quantization_range=((1 << bits) - 1) * step,
        quantization_origin=(low * step).tolist(),
    )
    return data
