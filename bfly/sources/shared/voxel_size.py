"""Attributes in which programs of the field state the voxel size and the first voxel's position."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bfly.sources.shared.place import Position
from bfly.sources.shared.units import nanometres, sizes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bfly.sources.mips import VoxelSize

__all__ = ["NAMES", "stated_place", "stated_size"]

VECTORS = {
    "element_size_um": "um",  # Fiji's HDF5 plug-in and ilastik; always z, y, x
    "resolution": "nm",  # CREMI, funlib, daisy, N5
    "voxel_size": "nm",
}
"""Attributes of three lengths, and their unit unless ``units`` or ``unit`` states another."""

NAMES = (
    *(*VECTORS, "units", "unit", "pixelResolution", "transform", "dimension_units"),
    "offset",
)
"""All attributes that are read."""

_QUANTITY = re.compile(r"\s*([0-9.eE+-]+)\s*(\S+)\s*")


def stated_size(
    attributes: Mapping[str, Any], axes: Sequence[int] = (0, 1, 2)
) -> tuple[VoxelSize, str] | None:
    """Find the voxel size in attributes.

    Parameters
    ----------
    attributes : mapping
        Attributes of an array, or of its group.
    axes : sequence of int
        Which numbers of an attribute are z, y and x. It has one for each axis of the array, or
        three in the order of the axes that are not singletons.

    Returns
    -------
    tuple, optional
        Nanometres (z, y, x), and the attribute that states them.
    """
    units = attributes.get("units", attributes.get("unit"))
    for name, usual in VECTORS.items():
        order = (0, 1, 2) if name == "element_size_um" else axes
        found = _vector(attributes.get(name), usual if "_um" in name else units, usual, order)
        if found:
            return found, f"attribute {name}"
    match attributes.get("pixelResolution"):
        case {"dimensions": [*values], "unit": unit}:
            found = _vector(values, unit, "nm", axes)
        case [*values]:
            found = _vector(values, "um", "um", axes)
    if "pixelResolution" in attributes and found:
        return found, "attribute pixelResolution"
    match attributes.get("transform"):
        case {"axes": [*names], "scale": [*values], "units": [*each]} if {*"zyx"} <= {*names}:
            found = _vector(values, each, "nm", [names.index(axis) for axis in "zyx"])
            if found:
                return found, "attribute transform"
    match attributes.get("dimension_units"):
        case [*texts]:
            pairs = [_QUANTITY.fullmatch(text or "") for text in texts]
            if all(pairs):
                values = [float(pair[1]) for pair in pairs if pair]
                found = _vector(values, [pair[2] for pair in pairs if pair], "nm", axes)
                if found:
                    return found, "attribute dimension_units"
    return None


def stated_place(
    attributes: Mapping[str, Any],
    axes: Sequence[int] = (0, 1, 2),
    otherwise: VoxelSize | None = None,
) -> Position | None:
    """Find the position of the first voxel in attributes.

    COSEM states it in ``transform``, as a point. ``offset`` of CREMI, funlib, daisy, gunpowder and
    Paintera is a corner, in the unit of ``resolution`` or ``voxel_size``, or else in nanometres.

    Parameters
    ----------
    attributes, axes
        As for `stated_size`.
    otherwise : tuple of float, optional
        Nanometres (z, y, x) of a voxel, used if the attributes state no size.
    """
    match attributes.get("transform"):
        case {"axes": [*names], "scale": [*scale], "translate": [*at]} if {*"zyx"} <= {*names}:
            order = [names.index(axis) for axis in "zyx"]
            voxels = [at[axis] / scale[axis] for axis in order]
            return Position(voxels, "attribute transform", is_point=True)
    offset = _ordered(attributes.get("offset"), axes)
    if offset is None:
        return None
    # The unit is the same for both, whichever it is.
    stated = [_ordered(attributes.get(name), axes) for name in ("resolution", "voxel_size")]
    size = next((lengths for lengths in stated if lengths and min(lengths) > 0), None)
    if size is None and (found := stated_size(attributes, axes)):
        size = [*found[0]]
    doubt = (
        "" if size or not any(offset) else _NO_SIZE.format("nanometres" if otherwise else "voxels")
    )
    size = size or [*(otherwise or (1.0, 1.0, 1.0))]
    voxels = [length / side for length, side in zip(offset, size, strict=True)]
    return Position(voxels, "attribute offset", doubt=doubt)


_NO_SIZE = "it states an offset but no resolution; the offset is taken for {}."


def _ordered(values: Any, axes: Sequence[int]) -> list[float] | None:
    """Return lengths along z, y and x in that order; None if they are not three lengths."""
    try:
        lengths = [float(value) for value in values]
        order = _order(len(lengths), axes)
        return [lengths[axis] for axis in order] if len(order) == 3 else None
    except (TypeError, ValueError, LookupError):
        return None


def _order(count: int, axes: Sequence[int]) -> list[int]:
    """Return which of `count` values belong to z, y and x (see `stated_size`)."""
    order = list(axes)
    return [sorted(order).index(axis) for axis in order] if count == 3 else order


def _vector(
    values: Any, units: Any, usual: str, axes: Sequence[int]
) -> tuple[float, float, float] | None:
    """Return nanometres (z, y, x) from lengths in any order; None if they are not lengths."""
    try:
        lengths = [float(value) for value in values]
        if isinstance(units, (str, bytes)) or units is None:
            each = [usual if units is None else units] * len(lengths)
        else:
            each = list(units)
        order = _order(len(lengths), axes)
        factors = [nanometres(each[axis]) for axis in order]
        if any(factor is None for factor in factors):
            return None
        return sizes((lengths[a] * (f or 0) for a, f in zip(order, factors, strict=True)), 1.0)
    except (TypeError, ValueError, LookupError, ArithmeticError):
        return None
