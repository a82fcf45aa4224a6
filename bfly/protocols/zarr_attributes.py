"""Attributes of zarr arrays and images for programs that read more than OME-Zarr's metadata.

Neuroglancer and TensorStore read ``dimension_units``; xarray ``_ARRAY_DIMENSIONS``;
funlib.persistence, which gunpowder, daisy and volara use, the others of an array. Viewers such as
Vizarr and napari take colours and contrast from ``omero``
(https://ngff.openmicroscopy.org/specifications/0.5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bfly.volumes.volume import Volume

__all__ = ["SPACE", "array_attributes", "omero"]

SPACE = ["z", "y", "x"]
"""Axes of space, in the order of the arrays."""

COLOURS = ("FF0000", "00FF00", "0000FF", "00FFFF", "FF00FF", "FFFF00")
"""Colours of several channels; viewers show six at once."""

GREY = "FFFFFF"
"""Colour of a single channel."""


def array_attributes(volume: Volume, mip: int, *, has_channels: bool) -> dict[str, Any]:
    """Return the attributes of the array of a mip.

    Parameters
    ----------
    volume : Volume
        The channel.
    mip : int
        The mip.
    has_channels : bool
        Whether there is an axis of channels before z.

    Returns
    -------
    dict
        ``voxel_size``, and ``offset``, the corner of the first voxel, in nanometres along z, y and
        x; in voxels of mip 0 if the voxel size is unknown. funlib takes whole numbers only if
        they are written as such.
    """
    size = volume.voxel_size_at(mip)
    corner = [a * side for a, side in zip(volume.level(mip).origin, size, strict=True)]
    units: dict[str, Any] = {}
    if volume.has_voxel_size:
        stated = [f"{side} nm" for side in size]
        units["dimension_units"] = [None, *stated] if has_channels else stated
    return {
        **units,
        "voxel_size": [_whole(side) for side in size],
        "offset": [_whole(place) for place in corner],
        "units": ["nm" if volume.has_voxel_size else ""] * 3,
        "axis_names": ["c^", *SPACE] if has_channels else SPACE,
        "types": [*(["channel"] if has_channels else []), *["space"] * 3],
    }


def omero(volume: Volume, channels: Sequence[tuple[str, Volume]]) -> dict[str, Any]:
    """Return how the channels of an image are best shown.

    Parameters
    ----------
    volume : Volume
        The image. Its middle section is shown first if every mip has all sections: Vizarr takes
        the index of a section for that of every mip.
    channels : sequence of tuple
        Name of each channel, and its volume.
    """
    is_grey = len(channels) == 1
    depths = {volume.level(mip).whole.shape[0] for mip in range(volume.levels)}
    return {
        "channels": [
            {
                "label": name,
                "color": GREY if is_grey else COLOURS[number % len(COLOURS)],
                "active": number < len(COLOURS),
                "window": _window(each),
            }
            for number, (name, each) in enumerate(channels)
        ],
        "rdefs": {
            "model": "greyscale" if is_grey else "color",
            "defaultT": 0,
            "defaultZ": max(depths) // 2 if len(depths) == 1 else 0,
        },
    }


def _window(volume: Volume) -> dict[str, float]:
    """Return the range of the dtype, and the contrast in it; that of floats is its own range."""
    contrast = volume.contrast
    if volume.dtype.kind == "f":
        low, high = contrast or (0.0, 1.0)
    else:
        limits = np.iinfo(volume.dtype)
        low, high = limits.min, limits.max
    start, end = contrast or (low, high)
    return {"min": low, "max": high, "start": _whole(start), "end": _whole(end)}


def _whole(value: float) -> float:
    """Return a whole number as an integer, which JSON writes without a point."""
    return int(value) if value == int(value) else value
