"""Sample tiles of a channel: its first and last corner, its middle, and random tiles."""

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
"""Shape (z, y, x) of a tile in voxels, as a viewer requests it."""

AT_LEAST = 16
AT_MOST = 64
"""Minimum and maximum number of tiles: more than the minimum only while all voxels are equal."""

PATIENCE = 10.0
"""Seconds after which no further tile is read."""


@dataclass(frozen=True)
class VoxelSample:
    """A sample tile, or the error of its read.

    Parameters
    ----------
    seconds : float
        Duration of the read.
    voxels : numpy.ndarray, optional
        zyx; None if the read failed.
    error : str
        Reason of the failure; empty on success.
    """

    seconds: float
    voxels: Voxels | None
    error: str = ""


def samples_of(source: Datasource) -> list[VoxelSample]:
    """Read sample tiles of the finest mip; every call reads the same ones."""
    shape = source.scales[0].shape
    tile = zyx(map(min, TILE, shape))
    room = zyx(n - t for n, t in zip(shape, tile, strict=True))
    samples: list[VoxelSample] = []
    end = time.monotonic() + PATIENCE
    for start in _places(room):
        samples.append(_read(source, BoundingBox.of_shape(tile, start)))
        late = time.monotonic() > end
        if late or (len(samples) >= AT_LEAST and not _all_alike(samples)):
            break
    return samples


def _places(room: Zyx) -> Iterator[Zyx]:
    """Return the starts of tiles: the first, the last, the middle, then random ones."""
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
    """Return whether all readable voxels have the same value."""
    values = [sample.voxels for sample in samples if sample.voxels is not None]
    return all((voxels == values[0].flat[0]).all() for voxels in values)
