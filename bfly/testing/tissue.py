"""Synthetic tissue: something to look at where no data is, made by the project itself.

Neurons with somata and branches, and pieces of axons between them, fill the volume without a gap,
as in neuropil. Each is a union of supervoxels; the EM shows dark membranes between neurites and
nothing between supervoxels of one, nuclei, mitochondria, synapses with their vesicles, and noise.
"""

from __future__ import annotations

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from bfly.testing.anatomy import Anatomy
from bfly.testing.tissue_tables import TABLES, write_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from bfly.geometry import Zyx
    from bfly.testing.anatomy import Floats, Organelle

__all__ = ["SHAPE", "make_tissue", "tissue"]

SHAPE = (176, 368, 368)
"""Voxels (z, y, x) unless said otherwise: a few seconds' work, and some forty neurons."""

VERSION = 2
"""Version of the tissue: files of another one are made again."""

CHUNK = 64
"""Voxels along each side of an HDF5 chunk."""

DRAWING = 0.8
"""The part of all the time that goes by before the files are written."""

NANOMETRES = 8.0
"""The size of a voxel: synapses and mitochondria look about right so."""

SLAB = 16
"""Sections that one thread makes at once."""

HALO = 2
"""Sections more on either side, so that membranes are whole where slabs meet."""

CYTOPLASM, MEMBRANE, MITOCHONDRION, DENSITY, RING = 172.0, 105.0, 48.0, 60.0, 42.0
CHROMATIN, ENVELOPE = 14.0, 70.0
"""Grey level of the inside, and how much darker the rest is."""


def _blur(values: Floats, axis: int) -> Floats:
    """Average each voxel, by half, with its two neighbours along an axis."""
    source = np.moveaxis(values, axis, 0)
    result: Floats = source * np.float32(0.5)
    result[1:] += source[:-1] / 4
    result[:-1] += source[1:] / 4
    result[0] += source[0] / 4
    result[-1] += source[-1] / 4
    return np.moveaxis(result, 0, axis)


def _membranes(neurites: NDArray[np.intp]) -> Floats:
    """Return how much of a membrane is at each voxel, 0 to 1, from where neurites meet."""
    wall = np.zeros(neurites.shape, np.float32)
    for axis in range(3):
        sections, walls = np.moveaxis(neurites, axis, 0), np.moveaxis(wall, axis, 0)
        differ = sections[1:] != sections[:-1]
        walls[1:][differ] = 1
        walls[:-1][differ] = 1
    for axis in (0, 1, 2, 1, 2):
        wall = _blur(wall, axis)
    membrane: Floats = np.minimum(np.square(1.25 * wall), 1)
    return membrane


def _parts(
    organelles: list[Organelle], z: slice, shape: Zyx
) -> Iterator[tuple[tuple[slice, ...], Organelle, Floats, Floats]]:
    """Yield each organelle in the sections `z`: its place, and `Organelle.distance` there."""
    for organelle in organelles:
        if not organelle.is_in(z):
            continue
        box = organelle.box(z, shape)
        if all(side.start < side.stop for side in box):
            here = slice(box[0].start - z.start, box[0].stop - z.start), *box[1:]
            yield here, organelle, *organelle.distance(box)


def _draw(anatomy: Anatomy, first: int) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """Draw a slab from section `first` on: its EM, and the cell of every voxel."""
    z = slice(first, min(first + SLAB, anatomy.shape[0]))
    wide = slice(max(z.start - HALO, 0), min(z.stop + HALO, anatomy.shape[0]))
    cells = anatomy.cells(wide)
    inner = slice(z.start - wide.start, z.stop - wide.start)
    membrane = _membranes(anatomy.neurites.take(cells))[inner]
    cells = cells[inner]
    neurites = anatomy.neurites.take(cells)
    texture = anatomy.texture.sections(z)
    dark = MEMBRANE * membrane
    for here, it, distance, along in _parts(anatomy.mitochondria, z, anatomy.shape):
        inside = (neurites[here] == it.neurite) & (membrane[here] < 0.1)
        depth = it.radius + texture[here] - distance
        cristae = 14 * np.sin(along * np.linalg.norm(it.axis) * 1.3 + 2 * texture[here])
        shade = MITOCHONDRION + cristae + 30 * np.exp(-np.square(depth - 1))
        np.maximum(dark[here], shade, out=dark[here], where=inside & (depth > 0))
    for here, it, distance, _ in _parts(anatomy.vesicles, z, anatomy.shape):
        inside = (neurites[here] == it.neurite) & (membrane[here] < 0.3)
        ring = RING * np.exp(-2 * np.square(distance - it.radius))
        np.maximum(dark[here], ring, out=dark[here], where=inside)
    for here, it, distance, _ in _parts(anatomy.densities, z, anatomy.shape):
        near = np.clip(1.5 - distance / it.radius, 0, 1) * (membrane[here] > 0.05)
        dark[here] += DENSITY * near * (neurites[here] == it.neurite)
    for here, it, distance, _ in _parts(anatomy.nuclei, z, anatomy.shape):
        depth = it.radius + 3 * texture[here] - distance
        inside = (neurites[here] == it.neurite) & (depth > -2)
        shade = CHROMATIN * (1 + texture[here]) + ENVELOPE * np.exp(-np.square(depth) / 2)
        np.copyto(dark[here], shade, where=inside)
    noise = np.random.default_rng([anatomy.seed, first]).standard_normal(dark.shape, np.float32)
    light = CYTOPLASM + anatomy.tint.take(neurites) + 9 * texture
    grey = light - dark + 24 * _blur(_blur(noise, 1), 2)
    return np.clip(grey, 8, 250).astype(np.uint8), cells


def _sections(
    anatomy: Anatomy, progress: Callable[[float], None] | None
) -> tuple[NDArray[np.uint8], NDArray[np.uint32]]:
    """Draw all slabs, as many at once as there are processors."""
    em, cells = np.empty(anatomy.shape, np.uint8), np.empty(anatomy.shape, np.uint32)
    starts = range(0, anatomy.shape[0], SLAB)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for first, slab in zip(starts, pool.map(partial(_draw, anatomy), starts), strict=True):
            em[first : first + SLAB], cells[first : first + SLAB] = slab
            if progress:
                progress(DRAWING * min(1, (first + SLAB) / anatomy.shape[0]))
    return em, cells


def tissue(
    shape: Zyx, seed: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.uint64], NDArray[np.uint64]]:
    """Make a small volume in memory.

    Parameters
    ----------
    shape : tuple of int
        Voxels (z, y, x).
    seed : int
        The same shape and seed give the same voxels.

    Returns
    -------
    em : numpy.ndarray
        Shape `shape`, uint8: membranes dark, as in a stained section.
    segmentation, supervoxels : numpy.ndarray
        Shape `shape`, uint64, no zeros. Half of the segments' ids lie above 2^53. Every
        supervoxel lies in one segment.
    """
    anatomy = Anatomy(shape, seed)
    em, cells = _sections(anatomy, None)
    return em, anatomy.segment_ids.take(cells), anatomy.supervoxel_ids.take(cells)


def make_tissue(
    folder: str,
    shape: Zyx = SHAPE,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
    tables: bool = False,
) -> str:
    """Write tissue as HDF5 files, unless the folder has it already.

    Parameters
    ----------
    folder : str
        Gets ``em.h5``, ``segmentation.h5`` and ``supervoxels.h5``, each with one dataset
        ``main`` as `tissue` describes it. It is made where it does not exist.
    shape, seed : tuple of int, int
        As for `tissue`. Files of another shape or seed are replaced.
    progress : callable, optional
        Is told the part done, from 0 to 1.
    tables : bool
        Whether the folder gets the neurons and synapses as well (see `write_tables`).

    Returns
    -------
    str
        The folder. A file has its name only when it is complete.
    """
    names = "em.h5", "segmentation.h5", "supervoxels.h5"
    has_tables = not tables or all(os.path.exists(os.path.join(folder, name)) for name in TABLES)
    if has_tables and all(_is_made(os.path.join(folder, name), shape, seed) for name in names):
        return folder
    os.makedirs(folder, exist_ok=True)
    anatomy = Anatomy(shape, seed)
    em, cells = _sections(anatomy, progress)
    ids = None, anatomy.segment_ids, anatomy.supervoxel_ids
    with tempfile.TemporaryDirectory(dir=folder, prefix=".") as unfinished:
        for done, (name, table) in enumerate(zip(names, ids, strict=True), start=1):
            path = os.path.join(unfinished, name)
            _write(path, em if table is None else cells, table, seed)
            os.replace(path, os.path.join(folder, name))
            if progress:
                progress(DRAWING + (1 - DRAWING) * done / len(names))
        if tables:
            write_tables(unfinished, anatomy, cells)
            for name in TABLES:
                os.replace(os.path.join(unfinished, name), os.path.join(folder, name))
    return folder


def _write(path: str, values: NDArray[Any], table: NDArray[Any] | None, seed: int) -> None:
    """Write one volume, its values looked up in a table if there is one."""
    chunk = tuple(min(CHUNK, n) for n in values.shape)
    with h5py.File(path, "w") as file:
        file.attrs["seed"], file.attrs["version"] = seed, VERSION
        main = file.create_dataset(
            "main",
            values.shape,
            values.dtype if table is None else table.dtype,
            chunks=chunk,
            compression="gzip",
            compression_opts=1,
        )
        main.attrs["resolution"] = [NANOMETRES] * 3
        for z in range(0, len(values), CHUNK):
            layer = values[z : z + CHUNK]
            main[z : z + CHUNK] = layer if table is None else table.take(layer)


def _is_made(path: str, shape: Zyx, seed: int) -> bool:
    """Return whether a file is what `_write` would write."""
    try:
        with h5py.File(path) as file:
            main = file["main"]
            is_same = file.attrs["seed"] == seed and file.attrs["version"] == VERSION
            return bool(is_same and main.shape == tuple(shape) and "resolution" in main.attrs)
    except (OSError, KeyError):
        return False
