"""The tiles of a channel that are looked at: its corners, its middle, and some at random."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.errors import NotAllowed, SourceError
from bfly.geometry import BoundingBox, zyx

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bfly.geometry import Zyx
    from bfly.sources.source import Datasource

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["TILE", "VoxelSample", "samples_of"]

TILE = (1, 512, 512)
"""Voxels (z, y, x) of a tile, as a viewer asks for it."""

AT_LEAST = 16
AT_MOST = 64
"""How many tiles are read: more than the least only while all voxels were the same."""

PATIENCE = 10.0
"""Seconds after which no further tile of a channel is read."""


@dataclass(frozen=True)
class VoxelSample:
    """A tile that was read, or could not be.

    Parameters
    ----------
    seconds : float
        How long it took.
    voxels : numpy.ndarray, optional
        zyx; None if it could not be read.
    error : str
        Why not.
    """

    seconds: float
    voxels: Voxels | None
    error: str = ""


def samples_of(source: Datasource) -> list[VoxelSample]:
    """Read tiles of the finest mip, the same ones whenever it is asked."""
    shape = source.scales[0].shape
    tile = zyx(map(min, TILE, shape))
    room = zyx(n - t for n, t in zip(shape, tile, strict=True))
    found: list[VoxelSample] = []
    end = time.monotonic() + PATIENCE
    for start in _places(room):
        found.append(_read(source, BoundingBox.of_shape(tile, start)))
        late = time.monotonic() > end
        if late or (len(found) >= AT_LEAST and not _all_alike(found)):
            break
    return found


def _places(room: Zyx) -> Iterator[Zyx]:
    """Give where tiles begin: first and last, where a file is cut short, then in between."""
    random = np.random.default_rng(0)
    middle = zyx(n // 2 for n in room)
    drawn = (zyx(random.integers(0, room, endpoint=True)) for _ in range(AT_MOST - 3))
    return chain([(0, 0, 0), room, middle], drawn)


def _read(source: Datasource, box: BoundingBox) -> VoxelSample:
    start = time.perf_counter()
    try:
        voxels = source.read(0, box)
    except (SourceError, NotAllowed) as error:
        return VoxelSample(time.perf_counter() - start, None, str(error))
    return VoxelSample(time.perf_counter() - start, voxels)


def _all_alike(samples: list[VoxelSample]) -> bool:
    """Tell whether all voxels that could be read are the same."""
    values = [sample.voxels for sample in samples if sample.voxels is not None]
    return all((voxels == values[0].flat[0]).all() for voxels in values)
