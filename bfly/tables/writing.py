"""Writers of rows, one batch at a time: JSON lines, CSV, Arrow IPC."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import numpy as np

from bfly.errors import MissingLibrary
from bfly.tables.columns import entries_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bfly.tables.columns import Columns

__all__ = ["write_rows"]


def write_rows(format: str, batches: Iterable[Columns], ids: str) -> Iterator[bytes]:  # noqa: A002
    """Write batches of rows as they arrive.

    Parameters
    ----------
    format : {"arrow", "csv", "jsonl"}
        Output format; Arrow needs pyarrow.
    batches : iterable of Columns
        At least one batch, which may be empty; all with the same columns.
    ids : {"number", "string"}
        JSON type of uint64 columns. Strings suit clients that parse all numbers as floats.
    """
    return {"arrow": _arrow, "csv": _csv, "jsonl": _jsonl}[format](batches, ids)


def _jsonl(batches: Iterable[Columns], ids: str) -> Iterator[bytes]:
    for batch in batches:
        if ids == "string":
            batch = {
                name: column.astype(str).astype(object) if column.dtype == np.uint64 else column
                for name, column in batch.items()
            }
        yield "".join(f"{json.dumps(entry)}\n" for entry in entries_of(batch)).encode()


def _csv(batches: Iterable[Columns], ids: str) -> Iterator[bytes]:
    for number, batch in enumerate(batches):
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if number == 0:
            writer.writerow(batch)
        writer.writerows(zip(*(column.tolist() for column in batch.values()), strict=True))
        yield text.getvalue().encode()


def _arrow(batches: Iterable[Columns], ids: str) -> Iterator[bytes]:
    try:
        import pyarrow as pa
    except ImportError as error:
        raise MissingLibrary("Arrow needs pyarrow: pip install 'bfly[tables]'.") from error
    sink, writer = io.BytesIO(), None
    for batch in batches:
        rows = pa.RecordBatch.from_pydict(
            # pyarrow cannot infer the type of an empty text column.
            {
                name: pa.array(column, pa.string() if column.dtype.kind == "O" else None)
                for name, column in batch.items()
            }
        )
        writer = writer or pa.ipc.new_stream(sink, rows.schema)
        writer.write_batch(rows)
        yield _drained(sink)
    if writer is not None:
        writer.close()
        yield _drained(sink)


def _drained(sink: io.BytesIO) -> bytes:
    data = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return data
