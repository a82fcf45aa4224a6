"""What a proofreader waits for, against what it has to be, as a table."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from rich.table import Table

from benchmarks.tables import judged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from benchmarks.box_cuts import BoxCuts
    from benchmarks.long_logs import LongLog

__all__ = ["rows_of", "show_box_cuts", "show_long_log"]


class Row(NamedTuple):
    """What is done, what it took, and what it has to be at most."""

    work: str
    value: float
    target: float | None = None


def show_long_log(row: LongLog, console: Console) -> None:
    """Print the times of a long log."""
    title = f"Edits in SQLite: {row.supervoxels:,} supervoxels, {row.operations:,} operations"
    table = Table(title=title)
    for name in ("what", "measured", "target"):
        table.add_column(name, justify="left" if name == "what" else "right")
    for work, value, target in rows_of(row):
        table.add_row(work, *judged(value, target, "≤"))
    console.print(table)


def rows_of(row: LongLog) -> Iterator[Row]:
    """Yield what was measured."""
    yield Row("a page forced to this disk, p50, ms", 1e3 * median(row.fsyncs))
    for name, taken, targets in (
        ("merge", row.merges, (2, 5)),
        ("undo", row.undos, (5, 20)),
        ("split by a list", row.cuts, (None, None)),
    ):
        for part, target in zip((50, 99), targets, strict=True):
            milliseconds = 1e3 * float(np.percentile(taken, part))
            yield Row(f"{name}, p{part}, ms", milliseconds, target)
    for count, seconds in row.undo_of_many.items():
        yield Row(f"undo of {count} merges at once, ms for each", 1e3 * seconds / count)
    yield Row("root ids of a million supervoxels, ms", 1e3 * median(row.roots), 60)
    yield Row("segments of a million supervoxels, ms", 1e3 * median(row.segments), 60)
    work = f"lineage of a root with {row.chain:,} operations, ms"
    yield Row(work, 1e3 * median(row.lineage), 50)
    work = f"open, with {row.after:,} operations after the snapshot, s"
    yield Row(work, median(row.opens), 3)
    yield Row("memory, bytes a supervoxel", row.nbytes / row.supervoxels, 100)


def show_box_cuts(row: BoxCuts, console: Console) -> None:
    """Print the times of splits by points, and of one cut beside other libraries."""
    if row.skipped:
        console.print(f"Skipped: {row.skipped}", style="yellow")
        return
    table = Table(title=f"Splits by points in a box of 512³: {row.data}")
    for name in ("what", "ms", "target"):
        table.add_column(name, justify="left" if name == "what" else "right")
    for part, target in ((50, 150), (99, 500)):
        milliseconds = 1e3 * float(np.percentile(row.splits, part))
        table.add_row(f"split, p{part}", *judged(milliseconds, target, "≤"))
    for name, taken in row.graphs.items():
        table.add_row(f"cut of {row.edges:,} edges: {name}", f"{1e3 * median(taken):.1f}", "")
    console.print(table)
