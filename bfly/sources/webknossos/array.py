"""What a dataset of webKnossos says about an array that is opened by itself.

The arrays are ``DATASET/LAYER/MAG``, or where a mag states its path. Those of zarr 2 have no names
of axes of their own.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bfly.errors import NotAllowed, SourceError
from bfly.sources.shared.kvstore import KeyValueStore
from bfly.sources.webknossos.document import DOCUMENT, Mag, parsed, steps_of
from bfly.storage.files import is_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bfly.sources.kinds.stated import Stated
    from bfly.sources.mips import VoxelSize
    from bfly.sources.webknossos.document import Dataset, Layer
    from bfly.storage.files import Files

__all__ = ["dataset_at", "dataset_of", "described", "found", "names_in_dataset", "paths_of"]

USUAL = {"c": 0, "x": 1, "y": 2, "z": 3}
"""Number of each axis where a mag states none."""


def dataset_at(path: str, files: Files) -> Dataset | None:
    """Return the dataset in a folder or behind a URL; None if no document describes one.

    Raises
    ------
    NotAllowed
        The path is outside the allowed ones.
    SourceError
        The document cannot be used.
    """
    document = KeyValueStore(path, files).json(DOCUMENT)
    return None if document is None else parsed(document, path)


def dataset_of(path: str) -> str:
    """Return the folder or URL that would be the dataset of an array."""
    return os.path.dirname(os.path.dirname(path.rstrip("/")))


def paths_of(dataset: str, layer: str, mag: Mag) -> Sequence[str]:
    """Return where the array of a mag may be, the likeliest first.

    A stated path counts from the dataset or, in older ones, from the folder of the layer.
    """
    if is_url(mag.path) or os.path.isabs(mag.path):
        return [mag.path]
    if mag.path:
        return [_joined(dataset, mag.path), _joined(dataset, f"{layer}/{mag.path}")]
    return [_joined(dataset, f"{layer}/{name}") for name in mag.names]


def _joined(folder: str, path: str) -> str:
    """Return a path below a folder or URL, without ``.`` in it."""
    if is_url(folder):
        return f"{folder.rstrip('/')}/{os.path.normpath(path)}"
    return os.path.normpath(os.path.join(folder, path))


def found(path: str, files: Files) -> tuple[Dataset, Layer, Mag] | None:
    """Return the dataset, the layer and the mag of an array; None if it is in no dataset.

    Parameters
    ----------
    path : str
        Folder or URL of the array.
    files : Files
        Decides whether the description of the dataset may be read.
    """
    path = path.rstrip("/")
    try:
        dataset = dataset_at(dataset_of(path), files)
    except (NotAllowed, SourceError):
        return None
    for layer in dataset.layers if dataset else ():
        for mag in layer.mags:
            if dataset and path in paths_of(dataset.path, layer.name, mag):
                return dataset, layer, mag
    folder, name = os.path.split(path)
    for layer in dataset.layers if dataset else ():
        if dataset and layer.name == os.path.basename(folder) and not layer.mags:
            try:
                return dataset, layer, Mag(steps_of(name, path), "", {})
            except SourceError:
                return None
    return None


def names_in_dataset(path: str, files: Files, rank: int) -> Sequence[str]:
    """Return the names of the axes of an array; empty if it is in no dataset of webKnossos.

    Parameters
    ----------
    path, files
        As for `found`.
    rank : int
        Number of axes of the array.
    """
    place = found(path, files)
    if place is None:
        return ()
    _, layer, mag = place
    names = [""] * rank
    for name, number in ({**(mag.order or USUAL)} | {**layer.others}).items():
        if 0 <= number < rank:
            names[number] = name
    return names


def described(path: str, files: Files) -> tuple[tuple[VoxelSize, str] | None, Stated | None]:
    """Return the voxel size and the kind that a dataset states for an array.

    Parameters
    ----------
    path, files
        As for `found`.

    Returns
    -------
    size : tuple, optional
        Nanometres (z, y, x), and what states them.
    kind : tuple, optional
        The kind, and what states it.
    """
    place = found(path, files)
    if place is None:
        return None, None
    dataset, layer, mag = place
    return dataset.size_at(mag.steps), layer.kind
