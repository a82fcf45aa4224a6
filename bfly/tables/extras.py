"""Extra columns of a table: numbers stay numbers, text stays text."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bfly.tables.limits import LARGEST
from bfly.tables.values import trimmed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from bfly.tables.arrow_files import ArrowFile

__all__ = ["array_of", "types_of"]

log = logging.getLogger(__name__)

_NUMBERS = (pa.int64(), pa.uint64(), pa.float64())


def types_of(file: ArrowFile, names: Iterable[str]) -> dict[str, Any]:
    """Return a type for each column that holds all its values, without unsupported columns.

    A column of integers with missing values becomes floats, with NaN for missing. It becomes
    text if floats would lose digits. CSV and integer columns are read once for this.
    """
    types = {name: _stored(file.types[name]) for name in names}
    if lost := [f"{name} ({file.types[name]})" for name, type_ in types.items() if not type_]:
        log.warning("%s: columns of unsupported types are left out: %s", file.path, ", ".join(lost))
    surveys = {
        name: _Survey(_NUMBERS if file.kind == "csv" else (type_,))
        for name, type_ in types.items()
        if type_ is not None and (file.kind == "csv" or pa.types.is_integer(type_))
    }
    if surveys:
        for batch in file.batches(list(surveys)):
            for name, survey in surveys.items():
                survey.add(batch.column(name))
    kinds = {name: surveys[name].result if name in surveys else t for name, t in types.items()}
    return {name: type_ for name, type_ in kinds.items() if type_ is not None}


def array_of(column: Any, kind: Any) -> NDArray[Any]:
    """Return a column as an array of a type from `types_of`.

    Returns
    -------
    numpy.ndarray
        Numbers, NaN where missing; or text (dtype O), empty where missing.
    """
    if pa.types.is_string(kind):
        text = pc.fill_null(pc.cast(column, kind), "")
        return np.asarray(text.to_numpy(zero_copy_only=False), object)
    source = trimmed(column) if pa.types.is_string(column.type) else column
    return np.asarray(pc.cast(source, kind).to_numpy(zero_copy_only=False))


class _Survey:
    """Survey of the types that the values of a column fit into."""

    def __init__(self, types: Iterable[Any]) -> None:
        self.types = list(types)
        self.empty = False
        self.largest = 0

    def add(self, column: Any) -> None:
        if pa.types.is_string(column.type):
            column = trimmed(column)
        self.empty = self.empty or column.null_count > 0
        self.types = [kind for kind in self.types if self._holds(kind, column)]

    def _holds(self, kind: Any, column: Any) -> bool:
        try:
            numbers = pc.cast(column, kind)
        except pa.ArrowInvalid:
            return False
        if pa.types.is_integer(kind):
            ends = pc.min_max(numbers).as_py().values()
            self.largest = max(self.largest, *(abs(end or 0) for end in ends))
        return True

    @property
    def result(self) -> Any:
        if not self.types:
            return pa.string()
        if not self.empty or pa.types.is_floating(self.types[0]):
            return self.types[0]
        return pa.float64() if self.largest <= LARGEST else pa.string()


def _stored(kind: Any) -> Any:
    """Return the type that stores values of another type; None if unsupported."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_boolean(kind):
        return pa.uint8()
    if pa.types.is_integer(kind):
        return kind
    if pa.types.is_floating(kind):
        return pa.float64() if kind == pa.float16() else kind
    text = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return pa.string() if any(is_text(kind) for is_text in text) else None
