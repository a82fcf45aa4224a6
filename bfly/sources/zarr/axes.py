"""Names of the axes of zarr arrays, and the volumes that an array or group holds."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from bfly.errors import NotAllowed, SourceError
from bfly.sources.shared.axes import axes_of, letter_of, parts_along
from bfly.sources.shared.kvstore import KeyValueStore
from bfly.sources.webknossos.array import dataset_of, names_in_dataset
from bfly.sources.webknossos.document import DOCUMENT
from bfly.sources.zarr.coordinates import coordinates_of
from bfly.sources.zarr.images import multiscales_of, ome_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bfly.storage.files import Files
    from bfly.storage.part import Part

__all__ = ["documents_above", "names_in_ome", "names_of", "parts_of"]

BEFORE_NAMES = "tczyx"
"""Axes of OME-Zarr 0.1 and 0.2, which state no names."""

ROLES = {"channel": "c", "time": "t"}
"""Letters of axes by their ``type`` in OME-Zarr."""


def names_in_ome(axes: Sequence[Any] | None, rank: int) -> list[str]:
    """Return the names of the axes of OME-Zarr's arrays; "" for an unusual name of space.

    The type of an axis, which OME-Zarr 0.4 and later have, matters more than its name.

    Parameters
    ----------
    axes : sequence, optional
        Their descriptions; None in OME-Zarr 0.1 and 0.2.
    rank : int
        Number of axes of the array.
    """
    return [_name(axis) for axis in axes or BEFORE_NAMES[-rank:]]


def _name(axis: Any) -> str:
    if not isinstance(axis, dict):
        return letter_of(axis)  # before 0.4 an axis was a plain string
    letter, kind = letter_of(axis["name"]), axis.get("type")
    if kind == "space":
        return letter if letter in [*"zyx"] else ""
    return ROLES.get(str(kind), letter)


def names_in_array(meta: Mapping[str, Any]) -> Sequence[object]:
    """Return the names of the axes of an array, empty if it states none.

    Parameters
    ----------
    meta : mapping
        Its ``zarr.json`` or ``.zarray``, with its attributes. xarray writes the names into
        ``_ARRAY_DIMENSIONS``.
    """
    names = meta.get("dimension_names") or meta["attributes"].get("_ARRAY_DIMENSIONS")
    return names if isinstance(names, list) else ()


def parts_of(
    meta: Mapping[str, Any], names: Sequence[object], path: str, dataset: str = ""
) -> Sequence[Part]:
    """Return the parts that are channels; none if the array is a column or matrix of a table.

    Parameters
    ----------
    meta : mapping
        Metadata of the array, or of the finest one of a group.
    names : sequence
        Names of its axes.
    path : str
        Name of the channel in messages.
    dataset : str
        The dataset of the parts; "" for the default one.

    Raises
    ------
    SourceError
        It has no volume.
    """
    # anndata states an encoding for each array of its tables: https://anndata.readthedocs.io.
    if len(meta["shape"]) < 2 or "encoding-type" in meta["attributes"]:
        return ()
    return parts_along(axes_of(names, meta["shape"], path).lengths, path, dataset)


def names_of(meta: Mapping[str, Any], path: str, files: Files) -> Sequence[object]:
    """Return the names of the axes of an array: its own, or those that a folder above states.

    OME-Zarr has the names in the group of its arrays, of which a path may name one.
    """
    names, rank = names_in_array(meta), len(meta["shape"])
    if names or rank < 3:
        return names
    folder, name = os.path.split(path.rstrip("/"))
    with suppress(NotAllowed, SourceError):
        ome = ome_of(KeyValueStore(folder, files).json, "")
        for multiscale in multiscales_of(ome):
            for dataset in multiscale["datasets"]:
                if dataset.get("path") == name:
                    return names_in_ome(coordinates_of(multiscale, dataset, rank).axes, rank)
    return names_in_dataset(path, files, rank) if rank > 3 else ()


def documents_above(path: str) -> list[str]:
    """Return the documents that may name the axes of an array."""
    folder = os.path.dirname(path.rstrip("/"))
    return [f"{folder}/zarr.json", f"{folder}/.zattrs", f"{dataset_of(path)}/{DOCUMENT}"]
