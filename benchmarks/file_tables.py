"""The figures on files and formats as tables."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from rich.table import Table

from benchmarks.tables import judged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from benchmarks.cutouts import Cutouts
    from benchmarks.many import Many

__all__ = ["cutout_target", "show_cutouts", "show_many"]

MIB = 1 << 20

FIRST_TILE, RESIDENT, OPEN_FILES = 3.0, 400, 512
"""Seconds, MiB and files."""

TIMES = {
    ("zarr-python", ""): 2.0,
    ("CloudVolume", "precomputed"): 1.5,
    ("CloudVolume", "precomputed, sharded"): 5.0,
    ("TensorStore", ""): 0.85,
}
"""How many times as fast as a reader Butterfly shall be, of a format or of any."""


def cutout_target(reader: str, form: str) -> float | None:
    """Give how many times as fast as a reader Butterfly shall be; None if any speed will do."""
    return TIMES.get((reader, form), TIMES.get((reader, "")))


def show_many(rows: Sequence[Many], console: Console) -> None:
    """Print what a folder of many channels takes, the medians of some starts."""
    row = rows[0]
    table = Table(title=f"A folder of {row.channels:,} channels: bfly FOLDER")
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


def show_cutouts(rows: Sequence[Cutouts], console: Console) -> None:
    """Print the times of cutouts from every format beside those of other readers."""
    table = Table(title="Random cutouts of uint8, ms: bfly as it comes, tiles not cached")
    for name in ("format", "cutout", "bfly", "beside", "theirs", "× theirs", "target"):
        left = name in ("format", "beside")
        table.add_column(name, justify="left" if left else "right")
    for row in rows:
        ours = median(row.samples["bfly"])
        for who, seconds in row.samples.items():
            if who != "bfly":
                theirs = median(seconds)
                times = [f"{1000 * each:.2f}" for each in (ours, theirs)]
                cutout = " × ".join(map(str, row.shape))
                ratio = judged(theirs / ours, cutout_target(who, row.format))
                table.add_row(row.format, cutout, times[0], who, times[1], *ratio)
        table.add_section()
    console.print(table)
