"""Names of the axes of zarr arrays, and the volumes that an array or group holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bfly.sources.shared.axes import axes_of, letter_of, parts_along

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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


def parts_of(meta: Mapping[str, Any], names: Sequence[object], path: str) -> Sequence[Part]:
    """Return the parts that are channels; none if the array is a column or matrix of a table.

    Parameters
    ----------
    meta : mapping
        Metadata of the array, or of the finest one of a group.
    names : sequence
        Names of its axes.
    path : str
        Name of the channel in messages.

    Raises
    ------
    SourceError
        It has no volume.
    """
    # anndata states an encoding for each array of its tables: https://anndata.readthedocs.io.
    if len(meta["shape"]) < 2 or "encoding-type" in meta["attributes"]:
        return ()
    return parts_along(axes_of(names, meta["shape"], path).lengths, path)
