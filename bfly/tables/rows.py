"""Conversion of file batches to columns of synapses or neurons, with a check of each row."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.config.error_messages import shortened
from bfly.errors import ConfigError, SourceError
from bfly.tables import extras, values
from bfly.tables.columns import ENDS, IDS, POINT
from bfly.tables.layouts import ends_of, layout_of
from bfly.tables.limits import HIGHEST_ID, LARGEST

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from bfly.tables.arrow_files import ArrowFile
    from bfly.tables.columns import Columns
    from bfly.tables.table_source import TableSource

    Ids = NDArray[np.uint64]
    Mask = NDArray[np.bool_]
    Fault = tuple[Mask, list[str], str]

__all__ = ["rows_of"]

log = logging.getLogger(__name__)

_ROLES = {"__id": "id", "neuron": "id", "n1": "pre", "n2": "post"}
_AN_ID = f"a whole number from 0 to {HIGHEST_ID}, as a float up to {LARGEST}"
_A_PLACE = f"three numbers from -{LARGEST} to {LARGEST}"
_NAMED = 10
"""Bad rows that an error message names."""


def rows_of(source: TableSource, file: ArrowFile) -> Iterator[Columns]:
    """Read a table from a file.

    Parameters
    ----------
    source : TableSource
        Configuration of the file.
    file : ArrowFile
        The file.

    Raises
    ------
    ConfigError
        A required column or the voxel size for nanometres is missing.
    SourceError
        At the end: the file has bad rows, and `source` does not skip them.
    """
    reader = _Reader(source, file)
    used = reader.used
    taken = {*used, *IDS[source.table], *POINT}
    if reader.ends:
        taken.update(*ENDS)
    kinds = extras.types_of(file, [name for name in file.types if name not in taken])
    if hidden := [name for name in file.types if name in taken and name not in used]:
        log.warning(
            "%s: columns with reserved names are left out: %s", file.path, ", ".join(hidden)
        )
    for batch in file.batches([*used, *kinds]):
        columns, keep = reader.read(batch)
        if (reader.bad or file.malformed) and not source.skip_bad_rows:
            continue
        for name, kind in kinds.items():
            columns[name] = extras.array_of(batch.column(name), kind)
        yield columns if keep.all() else {name: c[keep] for name, c in columns.items()}
    reader.report()


class _Reader:
    """Reader of batches that counts the rows left out."""

    def __init__(self, source: TableSource, file: ArrowFile) -> None:
        self.source, self.file, self.table = source, file, source.table
        self.layout = layout_of(source, file.types)
        named, units = self.layout.columns, self.layout.units
        self.place = [named["position"]] if "position" in named else [named[a] for a in POINT]
        self.size = _voxel_size(source, units, self.layout.name)
        self.ends = ends_of(file.types) if source.table == "synapse" else ()
        in_voxels = any(name.endswith("_vx") for end in self.ends for name in end)
        self.end_size = (1.0, 1.0, 1.0) if in_voxels else self.size
        used = [*named.values(), *(name for end in self.ends for name in end)]
        self.used = list(dict.fromkeys(used))
        self.row = 0
        self.bad = 0
        self.reasons: list[tuple[int, str]] = []
        self.unplaced = 0
        self._above = {"n1": np.uint64(0), "n2": np.uint64(0)}

    def read(self, batch: Any) -> tuple[Columns, Mask]:
        """Return the documented columns of a batch, and a mask of the rows to keep."""
        faults: list[Fault] = []
        columns: Columns = {name: self._ids(name, batch, faults) for name in IDS[self.table]}
        place, nowhere, wrong = _voxels(batch, self.place, self.size)
        if self.table == "neuron":
            wrong &= ~nowhere
        faults.append((wrong, self.place, _A_PLACE))
        columns |= {n: axis.astype(np.int64) for n, axis in zip(POINT, place, strict=True)}
        for names, end in zip(ENDS, self.ends, strict=False):  # both, or none
            place, missing, wrong = _voxels(batch, end, self.end_size)
            faults.append((wrong & ~missing, end, _A_PLACE))
            for name, axis in zip(names, place, strict=True):
                columns[name] = np.where(missing, np.nan, axis).astype(np.float32)
        without = np.zeros(len(batch), bool)
        if self.table == "neuron":
            without = nowhere | (columns["neuron"] == 0)
        bad = self._bad(batch, faults)
        self.unplaced += int(np.count_nonzero(without & ~bad))
        self.row += len(batch)
        return columns, ~(bad | without)

    def _ids(self, name: str, batch: Any, faults: list[Fault]) -> Ids:
        """Read a column of ids; the default id of a synapse is its row number."""
        column = self.layout.columns.get(_ROLES[name])
        if column is None:
            return np.arange(self.row, self.row + len(batch), dtype=np.uint64)
        numbers, empty, fit = values.ids(batch.column(column))
        numbers = _whole_root(numbers, column)
        if name not in self._above:
            faults.append((~fit | empty, [column], _AN_ID))
            return numbers
        faults.append((~fit, [column], _AN_ID))
        return self._filled(name, numbers, fit & ~empty) if self.layout.fill_down else numbers

    def _filled(self, name: str, numbers: Ids, there: Mask) -> Ids:
        """Fill missing numbers with the number above."""
        rows = np.maximum.accumulate(np.where(there, np.arange(1, len(there) + 1), 0))
        filled: Ids = np.concatenate([[self._above[name]], numbers])[rows]
        self._above[name] = filled[-1]
        return filled

    def _bad(self, batch: Any, faults: list[Fault]) -> Mask:
        """Return a mask of the bad rows; count them and record the first reasons."""
        bad: Mask = np.logical_or.reduce([wrong for wrong, _, _ in faults])
        counted = bad
        if self.file.kind == "csv" and bad.any():
            nulls = [column.is_null().to_numpy(zero_copy_only=False) for column in batch.columns]
            counted = bad & ~np.logical_and.reduce(nulls)  # an empty line is no row
        rows = np.flatnonzero(counted)
        self.bad += len(rows)
        for row in rows[: max(_NAMED - len(self.reasons), 0)]:
            _, names, allowed = next(fault for fault in faults if fault[0][row])
            shown = [f"{name} is {_shown(batch.column(name)[row].as_py())}" for name in names]
            number = self.file.number(self.row + int(row))
            self.reasons.append((number, f"{', '.join(shown)}; allowed is {allowed}"))
        return bad

    def report(self) -> None:
        """Raise an error or log a warning for bad rows; log neurons without a position."""
        if self.unplaced:
            log.info(
                "%s: %d rows are left out: they have no position, or belong to no neuron",
                self.file.path,
                self.unplaced,
            )
        width = len(self.file.types)
        malformed = [(line, f"{n} values in {width} columns") for line, n in self.file.malformed]
        if not self.bad + len(malformed):
            return
        unit = "line" if self.file.kind == "csv" else "row"
        first = sorted([*self.reasons, *malformed[:_NAMED]])[:_NAMED]
        told = "".join(f"\n  {unit} {number}: {reason}" for number, reason in first)
        text = f"{self.file.path} has {self.bad + len(malformed)} bad rows, the first are{told}"
        if not self.source.skip_bad_rows:
            raise SourceError(f"{text}\nWith skip-bad-rows they are left out.")
        log.warning("%s\nThey are left out, as skip-bad-rows says.", text)


def _voxels(
    batch: Any, names: Sequence[str], size: tuple[float, float, float]
) -> tuple[list[NDArray[np.float64]], Mask, Mask]:
    """Read z, y and x, from one column or three, and divide them by the voxel size.

    Also return a mask of the rows with no position, and of those with a missing or bad value.
    """
    place: tuple[values.Values, ...]
    if len(names) == 1:
        place = values.triple(batch.column(*names))[::-1]
    else:
        place = tuple(values.numbers(batch.column(name)) for name in names)
    nowhere = np.logical_and.reduce([axis.empty for axis in place])
    wrong = np.logical_or.reduce([axis.empty | ~axis.fit for axis in place])
    result = []
    for axis, nanometres in zip(place, size, strict=True):
        voxels = axis.numbers / nanometres
        wrong |= np.abs(voxels) > LARGEST
        # Rounding may put (voxel * size) / size just below the voxel.
        voxels = np.clip(voxels, -LARGEST, LARGEST) + 1e-6 * (nanometres != 1)
        result.append(np.floor(voxels))
    return result, nowhere, wrong


def _voxel_size(source: TableSource, units: str, name: str) -> tuple[float, float, float]:
    """Return the divisors of positions, (z, y, x)."""
    if units == "voxel":
        return 1, 1, 1
    if source.voxel_size is None:
        raise ConfigError(
            f"{source.path}: positions are in nm (columns of {name}); voxel_size of a channel of "
            f"the dataset, or of its {source.table}s, is needed to turn them into voxels."
        )
    return source.voxel_size


def _whole_root(numbers: Ids, column: str) -> Ids:
    """Add the leading digits of ids that Codex puts into the name of a column."""
    match = re.search(r"_root_id_(\d{9})$", column)
    if match is None:
        return numbers
    start = np.uint64(int(match[1]) * 10**9)
    return np.where((numbers > 0) & (numbers < 10**9), numbers + start, numbers)


def _shown(value: Any) -> str:
    return "empty" if value is None else shortened(value)
