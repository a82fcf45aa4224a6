"""Fill values of zarr arrays in the form that their format has: numbers, and words for some."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bfly.errors import SourceError

__all__ = ["fill_value"]

WORDS = {"true": True, "false": False}


def fill_value(value: Any, dtype: np.dtype[Any], path: str) -> Any:
    """Return a fill value as zarr states it: an integer, a boolean, a number or a word for one.

    Writers also state numbers as text, 0 and 1 for booleans, and NaN without quotes.

    Parameters
    ----------
    value : object
        As the metadata state it. None is returned as it is.
    dtype : numpy.dtype
        Of the voxels. Values of another kind than numbers and booleans are returned as they are.
    path : str
        Name of the channel in the message.

    Raises
    ------
    SourceError
        The value is no voxel of that dtype.
    """
    if value is None or dtype.kind not in "biuf":
        return value
    try:
        if dtype.kind == "f":
            return _of_float(value)
        number = _of_text(value) if isinstance(value, str) else value
        if isinstance(number, int | float) and int(number) == number:
            limits = _limits(dtype)
            if limits[0] <= number <= limits[1]:
                return bool(number) if dtype.kind == "b" else int(number)
    except (TypeError, ValueError, OverflowError):
        pass
    raise SourceError(f"{path}: the fill value is {value!r:.50}; allowed is a voxel of {dtype}.")


def _limits(dtype: np.dtype[Any]) -> tuple[int, int]:
    if dtype.kind == "b":
        return 0, 1
    limits = np.iinfo(dtype)
    return int(limits.min), int(limits.max)


def _of_text(value: str) -> float:
    text = value.strip().lower()
    if text in WORDS:
        return WORDS[text]
    return int(text) if text.lstrip("+-").isdecimal() else float(text)


def _of_float(value: Any) -> Any:
    # The bits of a number, in hexadecimal, are a form of zarr 3.
    if isinstance(value, str) and value.startswith("0x"):
        return value
    number = float(value)
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
