"""Names of the columns of a table file, from its first line or its schema; rows are not read."""

from __future__ import annotations

import csv
import io
from typing import IO, TYPE_CHECKING

from isal import igzip

from bfly.errors import MissingLibrary, SourceError
from bfly.storage.limits import in_pieces

if TYPE_CHECKING:
    from bfly.storage.files import Files

__all__ = ["ENDINGS", "LINE", "MAGIC", "columns_in", "delimiter_of"]

ENDINGS = ("arrow", "csv", "csv.gz", "feather", "ipc", "parquet", "pq", "tsv", "tsv.gz")
"""Endings of table files, in lower case and without the first dot."""

MAGIC = {b"PAR1": "parquet", b"ARROW1": "arrow", b"\xff\xff\xff\xff": "stream"}
"""Formats by their first bytes; any other file is CSV."""

LINE = 64 << 10
"""Most bytes of the line with the names of the columns."""

DELIMITERS = ",\t;"
"""Characters between columns of text, the most likely one first."""


def delimiter_of(line: str) -> str:
    """Return the character between the columns, from the line with their names."""
    return max(DELIMITERS, key=line.count)


def columns_in(path: str, files: Files) -> list[str]:
    """Return the names of the columns of a table.

    Parameters
    ----------
    path : str
        The file: CSV or TSV (also gzipped), Parquet, Feather or Arrow IPC.
    files : Files
        Access to the file.

    Returns
    -------
    list of str
        Empty if the first line of a text is not one of names.

    Raises
    ------
    NotAllowed
        The file is outside the allowed folders.
    SourceError
        It cannot be read.
    MissingLibrary
        It is not text, and pyarrow is not installed.
    """
    try:
        with files.file(path) as file:
            head = file.read(8)
            file.seek(0)
            kind = next((kind for magic, kind in MAGIC.items() if head.startswith(magic)), None)
            if kind is not None:
                return _in_schema(file, kind, path)
            is_packed = head.startswith(b"\x1f\x8b")
            text = igzip.IGzipFile(fileobj=file).read(LINE) if is_packed else file.read(LINE)
    except (OSError, EOFError) as error:
        raise SourceError(f"{path} cannot be read: {error}.") from error
    return _in_line(text)


def _in_line(text: bytes) -> list[str]:
    line, _, rest = text.removeprefix(b"\xef\xbb\xbf").partition(b"\n")
    if b"\0" in line or (not rest and len(text) == LINE):
        return []
    try:
        first = line.decode()
        rows = csv.reader(io.StringIO(first), delimiter=delimiter_of(first))
        return [name.strip() for name in next(rows, [])]
    except (UnicodeDecodeError, csv.Error):
        return []


def _in_schema(file: IO[bytes], kind: str, path: str) -> list[str]:
    try:
        import pyarrow as pa
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError as error:
        raise MissingLibrary(
            f"{path} needs a library that is not installed ({error}): pip install 'bfly[tables]'."
        ) from error
    opened = pa.PythonFile(in_pieces(file, path), mode="r")
    try:
        if kind == "parquet":
            return list(pa.parquet.ParquetFile(opened).schema_arrow.names)
        reader = pa.ipc.open_file if kind == "arrow" else pa.ipc.open_stream
        return list(reader(opened).schema.names)
    except pa.ArrowException as error:
        raise SourceError(f"{path} cannot be read: {error}.") from error
