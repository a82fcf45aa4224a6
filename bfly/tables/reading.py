"""Opens the file of a table, sees what format it has, and gives its columns in batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bfly.databases.columns import Columns
    from bfly.files import Files
    from bfly.tables.table_source import TableSource

__all__ = ["ROWS", "batches"]

ROWS = 1_000_000
"""About how many rows a batch has."""


def batches(
    source: TableSource, files: Files, progress: Callable[[float], None] | None = None
) -> Iterator[Columns]:
    """Read a table."""
    raise NotImplementedError
