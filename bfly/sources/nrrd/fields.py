"""Fields of an NRRD header: dtype, names of axes, kind, voxel size, position.

The format: https://teem.sourceforge.net/nrrd/format.html.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import numpy as np

from bfly.sources.shared.axes import letter_of
from bfly.sources.shared.place import Position, index_position
from bfly.sources.shared.units import nanometres, sizes

if TYPE_CHECKING:
    from typing import Any

    from bfly.sources.kinds.stated import Stated

__all__ = ["dtype_of", "kind_of", "names_of", "position_of", "size_of"]

TYPES = {
    "char": "i1",
    "short": "i2",
    "shortint": "i2",
    "int": "i4",
    "longlong": "i8",
    "longlongint": "i8",
    "float": "f4",
    "double": "f8",
    **{f"int{8 * size}": f"i{size}" for size in (1, 2, 4, 8)},
}
"""dtypes by the words of a ``type`` without ``signed``, ``unsigned`` and ``_t``."""

SPACE = ("", "none", "???", "domain", "space")
"""Kinds of axes that may be z, y or x; all others but time are components of a value."""
SEGMENT = re.compile(r"Segment[0-9]+_(ID|LabelValue)")
"""Fields in which 3D Slicer names a segment."""


def dtype_of(text: str, endian: str) -> np.dtype[Any]:
    """Return the dtype of a ``type``, such as ``unsigned short``, ``uint16_t`` or ``float``."""
    word = text.lower().replace(" ", "").removesuffix("_t")
    unsigned = word.startswith("u")
    word = TYPES[word.removeprefix("un").removeprefix("signed").removeprefix("u")]
    order = ">" if endian.lower() == "big" else "<"
    return np.dtype(f"{order}{'u' if unsigned else word[0]}{word[1]}")


def names_of(fields: dict[str, Any]) -> list[str]:
    """Return the names of the axes: c and t by ``kinds`` and directions, or else by ``labels``.

    An axis without a direction in space is none of space:
    https://teem.sourceforge.net/nrrd/format.html.
    """
    count = len(fields["sizes"])
    labels = [str(label) for label in fields.get("labels") or [""] * count]
    kinds = [str(kind).lower() for kind in fields.get("kinds") or [""] * count]
    directions = fields.get("space directions")
    if directions is None:
        directions = [0.0] * count
    in_space = [step is not None and not np.isnan(step).any() for step in directions]
    names = []
    for kind, label, is_space in zip(kinds, labels, in_space, strict=True):
        letter = letter_of(label)
        if kind in SPACE and is_space:
            names.append(letter if letter in [*"zyxct"] else "")
        else:
            names.append("t" if kind == "time" or letter == "t" else "c")
    return names


def kind_of(fields: dict[str, Any]) -> Stated | None:
    """Return labels for a file with the segments of 3D Slicer (``.seg.nrrd``)."""
    found = next((name for name in fields if SEGMENT.fullmatch(name)), None)
    return ("segmentation", f"field {found}") if found else None


def size_of(fields: dict[str, Any], axes: tuple[int, ...]) -> tuple[float, float, float] | None:
    """Return the size of a voxel in nanometres (z, y, x), if it is stated for all of `axes`."""
    directions, spacings = fields.get("space directions"), fields.get("spacings")
    if directions is not None:
        lengths = [float(np.linalg.norm(directions[axis])) for axis in axes]
        units = fields.get("space units")
    elif spacings is not None:
        lengths = [float(spacings[axis]) for axis in axes]
        units = fields.get("units")
        units = [units[axis] for axis in axes] if units is not None else None
    else:
        return None
    if units is None or len(units) != 3 or len(set(units)) != 1 or len(axes) != 3:
        return None
    return sizes(lengths, nanometres(units[0]))


def position_of(fields: dict[str, Any], axes: tuple[int, ...]) -> Position | None:
    """Return the stated position: lengths along the axes, in the unit of the voxel size."""
    directions, spacings = fields.get("space directions"), fields.get("spacings")
    origin, mins = fields.get("space origin"), fields.get("axis mins", fields.get("axismins"))
    if len(axes) != 3:
        return None
    if directions is not None and origin is not None and len(origin) == 3:
        steps = [directions[axis] for axis in reversed(axes)]
        return index_position(origin, steps, "space origin")
    if mins is None or spacings is None:
        return None
    pairs = [(float(mins[axis]), float(spacings[axis])) for axis in axes]
    if all(math.isnan(start) for start, _ in pairs) or any(step == 0 for _, step in pairs):
        return None
    return Position([start / step for start, step in pairs], "axis mins")
