"""Small pieces of a supervoxel, between which an electron micrograph shows membranes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.splitting.contacts import contacts, face_means
from bfly.splitting.fronts import Fronts, Grid
from bfly.splitting.max_flow import Graph
from bfly.splitting.runs import runs_in
from bfly.splitting.walks import walked

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Places = NDArray[np.int64]

__all__ = ["split_along_membranes"]

SIDE = 6
"""Shortest steps along a block that has one piece; membranes of FIB-25 are 60 to 150 nm apart."""

BRIGHT = 75
"""Percentile of the image in the mask that is taken as the inside of a neuron."""

INSIDE, LONGEST = 2, 64
"""Times to enter a voxel: the one inside neurons, and the longest."""

SHARPNESS = 8
"""Power of the darkness that slows fronts down, so that pieces end at membranes."""

CONTRAST = 40
"""Power of the brightness at a contact of two pieces, relative to that in the brighter one: across
a membrane, this leaves next to nothing of the weight of its area."""


def split_along_membranes(
    mask: NDArray[np.bool_],
    grid: Grid,
    voxel_size: tuple[float, float, float],
    image: np.ndarray[Any, np.dtype[Any]],
    sources: Places,
    sinks: Places,
) -> NDArray[np.uint8]:
    """Separate two groups of voxels within a mask by random walks between small pieces of it.

    A front spreads from the brightest voxel of each block and is slow in dark voxels. Walks between
    the pieces that the fronts make seldom cross membranes (`bfly.splitting.walks`).

    Parameters
    ----------
    mask : numpy.ndarray
        bool of shape (z, y, x).
    grid : Grid
        The voxels of the mask.
    voxel_size : tuple of float
        Nanometres (z, y, x).
    image : numpy.ndarray
        Of the shape of the mask; membranes are dark.
    sources, sinks : numpy.ndarray
        int64, numbers of voxels of the mask.

    Returns
    -------
    numpy.ndarray
        uint8 for each voxel of the mask: 1, 2, or 0 for components without points.

    Raises
    ------
    SplitRefused
        All ways between voxels of one group cross the other (`INSEPARABLE`).
    """
    brightness = image[mask].astype(np.float64)
    places = np.argwhere(mask)
    darkness = np.percentile(brightness, BRIGHT) / np.maximum(brightness, 1)
    slowness = np.clip(INSIDE * darkness**SHARPNESS, 1, LONGEST).astype(np.int32)
    seeds = np.union1d(
        _brightest(places // np.maximum(1, SIDE // np.array(grid.steps)), brightness),
        np.concatenate([sources, sinks]),
    )
    fronts = Fronts(grid, slowness)
    fronts.start(seeds, np.arange(1, len(seeds) + 1))
    fronts.run()
    pieces = np.zeros(mask.shape, np.int32)
    pieces[mask] = fronts.owner
    numbers = np.arange(1, len(seeds) + 1, dtype=np.uint64)
    touching = contacts(runs_in(pieces, numbers), voxel_size)
    voxels = np.bincount(fronts.owner, minlength=len(seeds) + 1)
    means = np.bincount(fronts.owner, brightness, len(seeds) + 1) / np.maximum(voxels, 1)
    pairs = touching.pairs.astype(np.int64)
    across = face_means(touching, image, (0, 0, 0)) / np.maximum(means[pairs].max(axis=1), 1e-9)
    a, b = (pairs - 1).T
    graph = Graph(len(seeds), a, b, touching.areas * across**CONTRAST)
    groups = (np.unique(fronts.owner[group].astype(np.int64) - 1) for group in (sources, sinks))
    part: NDArray[np.uint8] = walked(graph, *groups).astype(np.uint8)[fronts.owner - 1]
    return part


def _brightest(blocks: Places, brightness: NDArray[np.float64]) -> Places:
    """Return the first of the brightest voxels of each block."""
    key = np.ravel_multi_index(tuple(blocks.T), tuple(blocks.max(axis=0) + 1))
    best = np.full(int(key.max()) + 1, -np.inf)
    np.maximum.at(best, key, brightness)
    voxels = np.flatnonzero(brightness == best[key])[::-1]
    first = np.full(len(best), -1)
    first[key[voxels]] = voxels
    return first[first >= 0]
