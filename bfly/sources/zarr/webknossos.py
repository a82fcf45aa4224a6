"""Axes, voxel size and kind of webKnossos' zarr arrays, from ``datasource-properties.json``.

The arrays are ``DATASET/LAYER/MAG``; those of zarr 2 have no names of axes of their own. The
format: https://docs.webknossos.org/webknossos/data/concepts.html.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from bfly.errors import NotAllowed, SourceError
from bfly.sources.shared.kvstore import KeyValueStore
from bfly.sources.shared.units import nanometres, sizes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bfly.sources.kinds.stated import Stated
    from bfly.sources.mips import VoxelSize
    from bfly.storage.files import Files

__all__ = ["DOCUMENT", "dataset_of", "described", "names_in_dataset"]

DOCUMENT = "datasource-properties.json"

KINDS = {"color": "image", "segmentation": "segmentation"}
"""Kinds by the ``category`` of a layer."""

USUAL = {"c": 0, "x": 1, "y": 2, "z": 3}
"""Number of each axis where a layer states none."""


def dataset_of(path: str) -> str:
    """Return the folder or URL that would be the dataset of an array."""
    return os.path.dirname(os.path.dirname(path.rstrip("/")))


def names_in_dataset(path: str, files: Files, rank: int) -> Sequence[str]:
    """Return the names of the axes of an array; empty if it is in no dataset of webKnossos.

    Parameters
    ----------
    path : str
        Folder or URL of the array.
    files : Files
        Decides whether the description of the dataset may be read.
    rank : int
        Number of axes of the array.
    """
    _, layer = _found(path, files)
    return _names(layer, os.path.basename(path.rstrip("/")), rank) if layer else ()


def described(path: str, files: Files) -> tuple[tuple[VoxelSize, str] | None, Stated | None]:
    """Return the voxel size and the kind that a dataset states for an array.

    Parameters
    ----------
    path, files
        As for `names_in_dataset`.

    Returns
    -------
    size : tuple, optional
        Nanometres (z, y, x), and what states them.
    kind : tuple, optional
        The kind, and what states it.
    """
    document, layer = _found(path, files)
    kind = KINDS.get(str(layer.get("category")))
    stated = (kind, "webKnossos category") if kind else None
    return _size(document.get("scale"), layer, path), stated


def _found(path: str, files: Files) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the description of a dataset and of the layer of an array; empty without any."""
    try:
        document = KeyValueStore(dataset_of(path), files).json(DOCUMENT) or {}
    except (NotAllowed, SourceError):
        return {}, {}
    name = os.path.basename(os.path.dirname(path.rstrip("/")))
    for layer in document.get("dataLayers") or []:
        is_zarr = str(layer.get("dataFormat")).startswith("zarr")
        if layer.get("name") == name and is_zarr:
            return document, layer
    return {}, {}


def _size(scale: Any, layer: dict[str, Any], path: str) -> tuple[VoxelSize, str] | None:
    """Return the size of a voxel: that of the dataset, times the mag of the array."""
    match scale:
        case {"factor": [x, y, z], "unit": unit}:
            nanometre = nanometres(unit)
        case [x, y, z]:
            nanometre = 1.0
        case _:
            return None
    name = os.path.basename(path.rstrip("/"))
    stated = next((each.get("mag") for each in layer.get("mags", ()) if _is(each, name)), None)
    mag = stated or [int(side) for side in name.split("-") if side.isdecimal()]
    sides = list(mag) * 3 if len(mag) == 1 else list(mag)
    if len(sides) != 3:
        return None
    lengths = (float(side) * float(step) for side, step in zip((z, y, x), sides[::-1], strict=True))
    found = sizes(lengths, nanometre)
    return (found, "webKnossos scale") if found else None


def _names(layer: dict[str, Any], mag: str, rank: int) -> Sequence[str]:
    order = next((each.get("axisOrder") for each in layer.get("mags", ()) if _is(each, mag)), None)
    numbers = {**(order or USUAL)}
    numbers |= {axis["name"]: axis["index"] for axis in layer.get("additionalAxes") or []}
    names = [""] * rank
    for name, number in numbers.items():
        if 0 <= number < rank:
            names[number] = name
    return names


def _is(each: dict[str, Any], mag: str) -> bool:
    """Return whether an entry describes the array in the folder `mag`, such as ``2-2-1``."""
    if each.get("path"):
        return os.path.basename(str(each["path"]).rstrip("/")) == mag
    sides = [str(side) for side in each.get("mag") or []]
    return mag == "-".join(sides) or [mag] * len(sides) == sides
