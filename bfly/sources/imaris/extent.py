"""Voxel size and position of an Imaris file: its corners, and the unit of their lengths."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from bfly.sources.shared.place import Position
from bfly.sources.shared.units import nanometres, sizes

if TYPE_CHECKING:
    from bfly.geometry import Zyx
    from bfly.sources.imaris.layout import Layout
    from bfly.sources.mips import VoxelSize

__all__ = ["extent_of"]

log = logging.getLogger(__name__)

SIZES = ("Z", "Y", "X")
CORNERS = ("ExtMin2", "ExtMin1", "ExtMin0")
ENDS = ("ExtMax2", "ExtMax1", "ExtMax0")

LARGEST = 1e6
"""Nanometres of a voxel of which the unit m is believed. Programs that drop the µ of µm write m."""

DEFAULT = (1e3, 1e3, 1e3)
"""Nanometres: converters state 1 µm where they know no size."""


def extent_of(layout: Layout, shape: Zyx) -> tuple[VoxelSize | None, Position | None]:
    """Return the size of a voxel in nanometres and the position of the first one (z, y, x).

    Parameters
    ----------
    layout : Layout
        The file. Its group ``Image`` states the corners.
    shape : tuple of int
        Voxels of the finest level.

    Returns
    -------
    tuple
        None for each that is not stated. A doubt about either is reported in the log.
    """
    stated = layout.info("Image", (*SIZES, *CORNERS, *ENDS, "Unit"))
    try:
        corner, end = ([float(stated[name]) for name in names] for names in (CORNERS, ENDS))
        voxels = [int(stated.get(name, n)) for name, n in zip(SIZES, shape, strict=True)]
    except KeyError:
        return None, None
    except ValueError:
        log.warning("%s: its Image states %s, which are no lengths; ignored.", layout.path, stated)
        return None, None
    lengths = [b - a for a, b in zip(corner, end, strict=True)]
    if tuple(voxels) != shape or not sizes(lengths, 1.0):
        log.warning(
            "%s: its Image has corners at %s and %s and %s voxels (zyx), and the channel %s: the "
            "voxel size is unknown.",
            *(layout.path, corner, end, tuple(voxels), shape),
        )
        return None, None
    steps = [length / n for length, n in zip(lengths, shape, strict=True)]
    position = Position([a / b for a, b in zip(corner, steps, strict=True)], "ExtMin of its Image")
    return _in_nanometres(layout.path, steps, stated.get("Unit")), position


def _in_nanometres(path: str, steps: list[float], unit: str | None) -> VoxelSize | None:
    size = sizes(steps, nanometres(unit or ""))
    if size is None:
        log.warning("%s: the unit of its lengths is %s: the voxel size is unknown.", path, unit)
    elif unit == "m" and max(size) > LARGEST:
        log.warning(
            "%s: voxels of %s m (zyx) are too large; m may be µm. The voxel size is unknown.",
            *(path, steps),
        )
        return None
    elif size == DEFAULT:
        log.warning(
            "%s: voxels of 1 µm may be a default of the program that wrote them; check that.", path
        )
    return size
