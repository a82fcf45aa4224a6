"""The figures on files and formats as tables."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from rich.table import Table

from benchmarks.tables import judged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from benchmarks.many import Many

__all__ = ["show_many"]

MIB = 1 << 20

FIRST_TILE, RESIDENT, OPEN_FILES = 3.0, 400, 512
"""Seconds, MiB and files."""


def show_many(rows: Sequence[Many], console: Console) -> None:
    """Print what a folder of many channels takes, the medians of some starts."""
    row = rows[0]
    table = Table(title=f"A folder of {row.channels:,} channels: bfly -e FOLDER")
    for name in ("what", "measured", "target"):
        table.add_column(name, justify="left" if name == "what" else "right")
    figures = {
        "from the command to the first tile, s": (median(r.first for r in rows), FIRST_TILE),
        f"memory after {row.asked:,} channels, MiB": (
            median(r.resident for r in rows) / MIB,
            RESIDENT,
        ),
        "open files then": (median(r.files for r in rows), OPEN_FILES),
    }
    for what, (value, target) in figures.items():
        table.add_row(what, *judged(value, target, "≤"))
    console.print(table)
