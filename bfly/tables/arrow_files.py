"""CSV, Parquet and Arrow files as a stream of Arrow batches of bounded size."""

from __future__ import annotations

from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet

from bfly.errors import SourceError
from bfly.tables.headers import LINE, delimiter_of
from bfly.tables.limits import ROWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["ArrowFile"]

_CSV_BLOCK = 8 << 20
"""Bytes of a CSV file that are parsed at once."""

_EMPTY = ["", "nan", "NaN", "null", "NULL", "None", "<NA>"]


class ArrowFile:
    """Table in a file; all columns of a CSV file are text.

    Parameters
    ----------
    opened : callable
        Opens the file again, at its start.
    kind : str
        One of the values of `MAGIC`, or ``csv``.
    path : str
        Name of the file in messages.

    Attributes
    ----------
    types : dict
        Maps the name of each column to its Arrow type.
    malformed : list of tuple
        CSV lines with too few or too many values: (line number, number of values).

    Raises
    ------
    SourceError
        The file cannot be read.
    """

    def __init__(self, opened: Callable[[], IO[bytes]], kind: str, path: str) -> None:
        self.kind, self.path = kind, path
        self.malformed: list[tuple[int, int]] = []
        self._opened = opened
        self._delimiter = ","
        with self._errors():
            if kind == "csv":
                with opened() as file:
                    line = file.readline(LINE).decode(errors="replace")
                self._delimiter = delimiter_of(line)
            schema = self._schema()
        names = schema.names
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise SourceError(f"{path} has columns of the same name: {', '.join(twice)}.")
        self.types = {field.name: field.type for field in schema}

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:
        """Read some columns, from the start of the file.

        Yields
        ------
        pyarrow.RecordBatch
            About `ROWS` rows, columns in the given order, text as plain strings.
        """
        self.malformed = []
        with self._errors():
            yield from _gathered(self._read(list(columns)), columns)

    def number(self, row: int) -> int:
        """Return the number of a row; for CSV its line number, counted as in an editor."""
        if self.kind != "csv":
            return row
        line = row + 2
        for number, _ in self.malformed:
            line += number <= line
        return line

    def _file(self) -> Any:
        return pa.PythonFile(self._opened(), mode="r")

    def _schema(self) -> Any:
        if self.kind == "parquet":
            return pa.parquet.ParquetFile(self._file()).schema_arrow
        if self.kind == "csv":
            schema = self._csv(None).schema
            return pa.schema([(name, pa.string()) for name in schema.names])
        reader = pa.ipc.open_file if self.kind == "arrow" else pa.ipc.open_stream
        return reader(self._file()).schema

    def _read(self, columns: list[str]) -> Iterator[Any]:
        if self.kind == "parquet":
            file = pa.parquet.ParquetFile(self._file(), buffer_size=1 << 20)
            yield from file.iter_batches(batch_size=ROWS, columns=columns)
            return
        if self.kind == "csv":
            yield from self._csv(columns)
            return
        wanted = [i for i, name in enumerate(self.types) if name in columns]
        options = pa.ipc.IpcReadOptions(included_fields=wanted)
        if self.kind == "stream":
            yield from pa.ipc.open_stream(self._file(), options=options)
            return
        reader = pa.ipc.open_file(self._file(), options=options)
        yield from map(reader.get_batch, range(reader.num_record_batches))

    def _csv(self, columns: list[str] | None) -> Any:
        csv = pa.csv
        return csv.open_csv(
            self._file(),
            csv.ReadOptions(use_threads=False, block_size=_CSV_BLOCK),  # threads lose line numbers
            csv.ParseOptions(
                delimiter=self._delimiter,
                newlines_in_values=True,
                ignore_empty_lines=False,
                invalid_row_handler=self._skip,
            ),
            csv.ConvertOptions(
                include_columns=columns,
                column_types=dict.fromkeys(columns or (), pa.string()),
                null_values=_EMPTY,
                strings_can_be_null=True,
            ),
        )

    def _skip(self, row: Any) -> str:
        self.malformed.append((row.number, row.actual_columns))
        return "skip"

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn errors of the libraries into a `SourceError` with the path."""
        try:
            yield
        except (pa.ArrowException, OSError, EOFError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
            raise SourceError(f"{self.path} cannot be read: {reason}") from error


def _gathered(batches: Iterable[Any], columns: Sequence[str]) -> Iterator[Any]:
    """Split large batches and join small ones."""
    held: list[Any] = []
    for batch in batches:
        for start in range(0, len(batch), ROWS):
            held.append(_plain(batch.slice(start, ROWS), columns))
            if sum(map(len, held)) >= ROWS:
                yield from pa.Table.from_batches(held).combine_chunks().to_batches()
                held = []
    if held:
        yield from pa.Table.from_batches(held).combine_chunks().to_batches()


def _plain(batch: Any, columns: Sequence[str]) -> Any:
    return pa.RecordBatch.from_arrays(
        [_decoded(batch.column(name)) for name in columns], names=list(columns)
    )


def _decoded(column: Any) -> Any:
    if pa.types.is_dictionary(column.type):
        return _decoded(column.dictionary).take(column.indices)
    return column.cast(pa.string()) if pa.types.is_string_view(column.type) else column
