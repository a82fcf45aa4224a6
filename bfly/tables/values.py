"""Ids and positions from Arrow columns of any type; inexact ids are rejected."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bfly.tables.limits import HIGHEST_ID, LARGEST

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]

__all__ = ["Values", "ids", "numbers", "trimmed", "triple"]

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_TRIPLE = (
    r"^[\[(]?\s*"
    + r"(?:\s*,\s*|\s+)".join(f"(?P<{axis}>{_NUMBER})" for axis in "xyz")
    + r"\s*[\])]?$"
)


class Values(NamedTuple):
    """Numbers with masks: `empty` values and values that do not `fit` are 0."""

    numbers: NDArray[Any]
    empty: Mask
    fit: Mask


def ids(column: Any) -> Values:
    """Read a column of ids.

    Parameters
    ----------
    column : pyarrow.Array
        Whole numbers from 0 to 2^64 - 1, as integers or as text. Floats, also in text, only
        up to 2^53, where they are exact.

    Returns
    -------
    Values
        Numbers are uint64.
    """
    if _is_text(column):
        text = trimmed(column)
        fit, number = _parsed(text, np.uint64, _id)
        return Values(number, _missing(text), fit)
    if pa.types.is_integer(column.type):
        integers = _numpy(column, 0)
        return Values(integers.astype(np.uint64), _missing(column), integers >= 0)
    if pa.types.is_floating(column.type):
        floats = _numpy(column.cast(pa.float64()), np.nan)
        empty = np.isnan(floats)
        fit = empty | ((floats >= 0) & (floats <= LARGEST) & (floats == np.floor(floats)))
        return Values(np.where(fit & ~empty, floats, 0).astype(np.uint64), empty, fit)
    return _nothing(column, np.uint64)


def numbers(column: Any) -> Values:
    """Read a column of numbers or text as float64; infinity does not `fit`."""
    if _is_text(column):
        text = trimmed(column)
        fit, number = _parsed(text, np.float64, _float)
        number = np.where(_missing(text), np.nan, number)
    elif pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        number = _numpy(column.cast(pa.float64(), safe=False), np.nan)
        fit = np.ones(len(number), bool)
    else:
        return _nothing(column, np.float64)
    empty = np.isnan(number)
    fit = fit & (np.abs(np.where(empty, 0, number)) < np.inf)
    return Values(np.where(fit & ~empty, number, 0), empty, fit)


def triple(column: Any) -> tuple[Values, Values, Values]:
    """Read a column with positions as text (``[x y z]``, ``x, y, z``) or lists of three.

    Returns
    -------
    x, y, z : Values
        As from `numbers`.
    """
    if _is_text(column):
        text = trimmed(column)
        fields = pc.extract_regex(text, _TRIPLE)
        parts = [pc.struct_field(fields, axis) for axis in "xyz"]
        empty = _missing(text)
    elif _is_list(column):
        lengths = _numpy(pc.list_value_length(column), 0)
        three = np.flatnonzero(lengths == 3)
        flat = pc.list_flatten(column.take(pa.array(three)))
        rows = np.zeros(len(column), np.int64)
        rows[three] = np.arange(len(three)) * 3
        parts = [flat.take(pa.array(rows + axis, mask=lengths != 3)) for axis in range(3)]
        empty = lengths == 0
    else:
        nothing = _nothing(column, np.float64)
        return nothing, nothing, nothing
    x, y, z = (numbers(part) for part in parts)
    whole = empty | ~(x.empty | y.empty | z.empty)
    return (
        Values(x.numbers, empty, whole & x.fit),
        Values(y.numbers, empty, whole & y.fit),
        Values(z.numbers, empty, whole & z.fit),
    )


def trimmed(column: Any) -> Any:
    """Return text without surrounding white space; null if nothing is left."""
    text = pc.utf8_trim_whitespace(column)
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, text.type), text)


def _is_text(column: Any) -> bool:
    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))


def _is_list(column: Any) -> bool:
    kinds = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(kind(column.type) for kind in kinds)


def _missing(column: Any) -> Mask:
    return _numpy(pc.is_null(column), False)


def _numpy(column: Any, null: Any) -> NDArray[Any]:
    array: NDArray[Any] = pc.fill_null(column, null).to_numpy(zero_copy_only=False)
    return array


def _nothing(column: Any, dtype: Any) -> Values:
    """Return the values of a column of an unsupported type: none fits, unless empty."""
    empty = _missing(column)
    return Values(np.zeros(len(column), dtype), empty, empty)


def _parsed(text: Any, dtype: Any, parse: Callable[[str], Any]) -> tuple[Mask, NDArray[Any]]:
    """Parse text as numbers: all at once if all are valid, else one by one."""
    try:
        if pc.any(pc.match_substring(text, "x", ignore_case=True)).as_py():
            raise pa.ArrowInvalid("Arrow reads hexadecimal numbers, which these never are")
        return np.ones(len(text), bool), _numpy(pc.cast(text, pa.from_numpy_dtype(dtype)), 0)
    except pa.ArrowInvalid:
        parsed = [0 if value is None else parse(value) for value in text.to_pylist()]
    fit = np.array([value is not None for value in parsed], bool)
    return fit, np.array([value or 0 for value in parsed], dtype)


def _id(text: str) -> int | None:
    if re.fullmatch(r"\+?[0-9]{1,40}", text):
        number = int(text)
    else:
        value = _float(text)
        exact = value is not None and 0 <= value <= LARGEST and value.is_integer()
        number = int(value) if value is not None and exact else -1
    return number if 0 <= number <= HIGHEST_ID else None


def _float(text: str) -> float | None:
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None
