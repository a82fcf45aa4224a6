"""Axes of zarr arrays of webKnossos, which its ``datasource-properties.json`` states.

The arrays are ``DATASET/LAYER/MAG``; those of zarr 2 have no names of axes of their own. The
format: https://docs.webknossos.org/webknossos/data/concepts.html.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from bfly.errors import NotAllowed, SourceError
from bfly.sources.shared.kvstore import KeyValueStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bfly.storage.files import Files

__all__ = ["DOCUMENT", "dataset_of", "names_in_dataset"]

DOCUMENT = "datasource-properties.json"

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
    try:
        document = KeyValueStore(dataset_of(path), files).json(DOCUMENT)
    except (NotAllowed, SourceError):
        return ()
    folder, mag = os.path.split(path.rstrip("/"))
    for layer in (document or {}).get("dataLayers") or []:
        is_zarr = str(layer.get("dataFormat")).startswith("zarr")
        if layer.get("name") == os.path.basename(folder) and is_zarr:
            return _names(layer, mag, rank)
    return ()


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
