"""Documented metadata files, ``synapse-connections.json`` and ``neuron-soma.json``.

They are parsed as a stream, with 8 bytes of memory per stored number. Errors name the location
in the file. No row is ever left out. A number of a neuron may be text.
"""

from __future__ import annotations

import logging
import re
from array import array
from decimal import Decimal
from typing import IO, TYPE_CHECKING, Any

import ijson
import numpy as np

from bfly.config.error_messages import shortened
from bfly.errors import SourceError
from bfly.keywords import RUNTIME
from bfly.tables.columns import IDS, KEYS, POINT
from bfly.tables.limits import HIGHEST_ID, LARGEST, ROWS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bfly.tables.columns import Columns

    Numbers = dict[str, array[int]]

__all__ = ["read_json"]

log = logging.getLogger(__name__)

_FILE = RUNTIME().DB.FILE.SYNAPSE
_LISTS = {
    **dict(zip(IDS["synapse"][1:], _FILE.NEURON_LIST, strict=True)),
    **{axis: f"{_FILE.POINT.NAME}.{axis}" for axis in _FILE.POINT.LIST},
}
_MEMBERS = {KEYS["neuron"]: "neuron_id", **{axis: axis for axis in POINT}}
_TEXT = re.compile(r"[+-]?[0-9]{1,20}(\.[0-9]{1,20})?")
_NOT_VALUES = {"start_map": "a mapping", "start_array": "a list", "null": "null"}


def read_json(file: IO[bytes], path: str, table: str, root: str) -> Iterator[Columns]:
    """Read a documented metadata file.

    Parameters
    ----------
    file : binary file
        The file, at its start.
    path : str
        Name of the file in messages.
    table : {"synapse", "neuron"}
        Kind of its rows.
    root : str
        First character of the file that is not white space.

    Raises
    ------
    SourceError
        The file is not JSON, a list or member is missing or has another length, or a value is
        not a number in range. The message names the location.
    """
    try:
        columns = _synapses(file, path, root) if table == "synapse" else _neurons(file, path, root)
    except ijson.JSONError as error:
        reason = str(error.args[0] if error.args else error).strip("b'").splitlines()[0]
        raise SourceError(f"{path} is not whole JSON: {reason}") from error
    size = len(columns["z"])
    for start in range(0, size, ROWS):
        rows = slice(start, min(start + ROWS, size))
        batch = {name: np.frombuffer(c, c.typecode)[rows] for name, c in columns.items()}
        if table == "synapse":
            batch[KEYS[table]] = np.arange(rows.start, rows.stop, dtype=np.uint64)
        yield batch


def _synapses(file: IO[bytes], path: str, root: str) -> Numbers:
    """Read lists of equal length, one per column."""
    columns = _empty(_LISTS)
    lists = {_LISTS[name]: name for name in columns}
    items = {f"{place}.item": (columns[name], place) for place, name in lists.items()}
    found = set()
    for prefix, event, value in ijson.parse(file):
        if item := items.get(prefix):
            _append(*item, value, event, path, len(item[0]))
        elif event == "start_array" and prefix in lists:
            found.add(prefix)
    if root != "{" or len(found) < len(lists):
        lacking = ", ".join(place for place in lists if place not in found)
        raise SourceError(f"{path}: there are no lists {lacking}; needed are {', '.join(lists)}.")
    if len({len(column) for column in columns.values()}) > 1:
        sizes = ", ".join(f"{place} {len(columns[name])}" for place, name in lists.items())
        raise SourceError(f"{path}: the lists have different lengths: {sizes}.")
    return columns


def _neurons(file: IO[bytes], path: str, root: str) -> Numbers:
    """Read a list of mappings, one per row."""
    if root != "[":
        raise SourceError(f"{path}: needed is a list of {{{', '.join(_MEMBERS.values())}}}.")
    columns = _empty(_MEMBERS)
    text = ""
    for row, entry in enumerate(ijson.items(file, "item")):
        if not isinstance(entry, dict) or not entry.keys() >= set(_MEMBERS.values()):
            needed = f"needed is {{{', '.join(_MEMBERS.values())}}}"
            raise SourceError(f"{path}: [{row}] is {shortened(entry)}; {needed}.")
        for name, member in _MEMBERS.items():
            value, place = entry[member], f"[{row}].{member}"
            if isinstance(value, str) and _TEXT.fullmatch(value):
                value = Decimal(value)
                text = text or place
            _append(columns[name], place, value, "number", path, None)
    if text:
        log.warning("%s: numbers that are text, from %s on, are read as numbers", path, text)
    return columns


def _empty(names: Iterable[str]) -> Numbers:
    return {name: array("q" if name in POINT else "Q") for name in names}


def _append(
    column: array[int], place: str, value: Any, event: str, path: str, row: int | None
) -> None:
    """Append a number to a column, exactly; a position is rounded down to its voxel."""
    is_id = column.typecode == "Q"
    low, high = (0, HIGHEST_ID) if is_id else (-LARGEST, LARGEST)
    number = value
    if type(value) is Decimal and low <= value <= high:
        voxel = value.to_integral_value("ROUND_FLOOR")
        number = int(voxel) if voxel == value or not is_id else value
    if type(number) is not int or not low <= number <= high:
        place = place if row is None else f"{place}[{row}]"
        what = _NOT_VALUES.get(event) or shortened(value)
        kind = "whole number" if is_id else "number"
        raise SourceError(f"{path}: {place} is {what}; allowed is a {kind} from {low} to {high}.")
    column.append(number)
