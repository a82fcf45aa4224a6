"""Names of the axes of zarr arrays, and the volumes that an array or group holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bfly.sources.shared.axes import axes_of, letter_of, parts_along
from bfly.sources.zarr.webknossos import names_in_dataset

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bfly.storage.files import Files
    from bfly.storage.part import Part

__all__ = ["names_in_array", "names_in_ome", "parts_of"]

BEFORE_NAMES = "tczyx"
"""Axes of OME-Zarr 0.1 and 0.2, which state no names."""

ROLES = {"channel": "c", "time": "t"}
"""Letters of axes by their ``type`` in OME-Zarr."""


def names_in_ome(multiscale: Mapping[str, Any], rank: int) -> list[str]:
    """Return the names of the axes of OME-Zarr's arrays; "" for an unusual name of space.

    The type of an axis, which OME-Zarr 0.4 and later have, matters more than its name.

    Parameters
    ----------
    multiscale : mapping
        One of the ``multiscales``.
    rank : int
        Number of axes of the array.
    """
    axes = multiscale.get("axes") or BEFORE_NAMES[-rank:]
    return [_name(axis) for axis in axes]


def _name(axis: Any) -> str:
    if not isinstance(axis, dict):
        return letter_of(axis)  # before 0.4 an axis was a plain string
    letter, kind = letter_of(axis["name"]), axis.get("type")
    if kind == "space":
        return letter if letter in [*"zyx"] else ""
    return ROLES.get(str(kind), letter)


def names_in_array(meta: Mapping[str, Any], path: str, files: Files) -> Sequence[object]:
    """Return the names of the axes of an array, empty if none are stated.

    Parameters
    ----------
    meta : mapping
        Its ``zarr.json`` or ``.zarray``, with its attributes. xarray writes the names into
        ``_ARRAY_DIMENSIONS``.
    path : str
        Folder, archive or URL of the array.
    files : Files
        Access to the description of a dataset that the array is in.
    """
    names = meta.get("dimension_names") or meta["attributes"].get("_ARRAY_DIMENSIONS")
    if isinstance(names, list):
        return names
    rank = len(meta["shape"])
    return names_in_dataset(path, files, rank) if rank > 3 else ()


def parts_of(
    meta: Mapping[str, Any], multiscale: Mapping[str, Any] | None, path: str, files: Files
) -> Sequence[Part]:
    """Return the parts that are channels; none if the array is a column or matrix of a table.

    Parameters
    ----------
    meta : mapping
        Metadata of the array, or of the finest one of the group.
    multiscale : mapping, optional
        What describes the group.
    path, files
        As for `names_in_array`.

    Raises
    ------
    SourceError
        It has no volume.
    """
    shape = meta["shape"]
    if multiscale is not None:
        return parts_along(axes_of(names_in_ome(multiscale, len(shape)), shape, path).lengths, path)
    # anndata states an encoding for each array of its tables: https://anndata.readthedocs.io.
    if len(shape) < 2 or "encoding-type" in meta["attributes"]:
        return ()
    names = names_in_array(meta, path, files)
    return parts_along(axes_of(names, shape, path).lengths, path)
