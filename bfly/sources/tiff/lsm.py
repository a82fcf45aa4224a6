"""LSM, the TIFF of Zeiss: its axes and voxel size are in the tag CZ_LSMINFO.

Each section is followed by a thumbnail. The channels of a section are samples of its pixels, one
plane for each, whatever colours the tags state (Zeiss, LSM 5 image file format, release 4.0).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import tifffile

from bfly.sources.shared.units import sizes

if TYPE_CHECKING:
    from bfly.sources.mips import VoxelSize

__all__ = ["lsm_volume", "lsm_voxel_size"]

METRE = 1e9
"""Nanometres."""

CHANNELS, SAMPLES = "C", "S"
"""tifffile's letters of axes."""


def lsm_volume(first: tifffile.TiffPageSeries) -> tifffile.TiffPageSeries:
    """Return the volume of an LSM file, the axis of channels as that of grey samples.

    Parameters
    ----------
    first : tifffile.TiffPageSeries
        The first image; others are thumbnails.

    Raises
    ------
    ValueError
        The sections are not planes of y and x, or have other samples than channels.
    """
    axes, shape, key = first.get_axes(False), first.get_shape(False), first.keyframe
    if not {"Y", "X"} <= {*axes}:
        raise ValueError(f"it is an LSM of lines, with the axes {axes}; allowed are sections")
    grey = tifffile.PHOTOMETRIC.MINISBLACK
    for page in {id(p.keyframe): p.keyframe for p in first.pages if p is not None}.values():
        # A palette, or RGB, is the way in which the microscope shows the channels.
        page.photometric, page.extrasamples = grey, ()
    if key.samplesperpixel != dict(zip(axes, shape, strict=True)).get(CHANNELS, 1):
        raise ValueError(
            f"it states {shape} voxels along {axes}; its pixels have {key.samplesperpixel} "
            "samples, of which each is a channel"
        )
    named = axes.replace(CHANNELS, SAMPLES)
    return tifffile.TiffPageSeries(
        first.pages, shape, first.dtype, named, kind="lsm", squeeze=False
    )


def lsm_voxel_size(tiff: tifffile.TiffFile) -> tuple[VoxelSize, str] | None:
    """Return nanometres (z, y, x), and the field that states them; None if it does not."""
    info = tiff.lsm_metadata or {}
    found = sizes([float(info.get(f"VoxelSize{axis}", 0)) for axis in "ZYX"], METRE)
    return (found, "LSM VoxelSize") if found else None
