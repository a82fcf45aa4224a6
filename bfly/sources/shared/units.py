"""Conversion of lengths in files to nanometres."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["nanometres", "sizes"]

_NANOMETRES = {
    "pm picometer picometre": 1e-3,
    "å angstrom ångström \\u00c5": 0.1,
    "nm nanometer nanometre": 1.0,
    "um µm μm \\u00b5m micron micrometer micrometre": 1e3,
    "mm millimeter millimetre": 1e6,
    "cm centimeter centimetre": 1e7,
    "m meter metre": 1e9,
    "in inch inche": 2.54e7,
}
"""Nanometres per unit; names are in lower case and without a plural s."""

_BY_NAME = {name: size for names, size in _NANOMETRES.items() for name in names.split()}


def nanometres(unit: object) -> float | None:
    """Return the nanometres of a unit; None if it is unknown or not a length.

    Parameters
    ----------
    unit : object
        As a file states it, such as ``micron``, ``µm`` or ``Nanometers``; bytes are UTF-8.
    """
    text = unit.decode(errors="replace") if isinstance(unit, bytes) else str(unit)
    name = text.strip().strip('"').lower()
    return _BY_NAME.get(name) or _BY_NAME.get(name.removesuffix("s"))


def sizes(values: Iterable[float], unit: float | None) -> tuple[float, float, float] | None:
    """Return a voxel size in nanometres.

    Parameters
    ----------
    values : iterable of float
        Lengths along z, y and x, in the unit.
    unit : float, optional
        Nanometres per unit, see `nanometres`.

    Returns
    -------
    tuple of float, optional
        (z, y, x); None if the unit is unknown or a value is not a length.
    """
    if unit is None:
        return None
    z, y, x = (float(value) * unit for value in values)
    if all(math.isfinite(size) and size > 0 for size in (z, y, x)):
        return z, y, x
    return None
