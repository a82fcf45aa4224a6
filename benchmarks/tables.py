"""The figures as tables: medians, ratios, targets."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from benchmarks.reading import Reading
    from benchmarks.serving import Serving

__all__ = ["show_machine", "show_reading", "show_serving"]

TIMES_THE_FIRST = 10
"""At least so many times the requests a second of the first Butterfly."""

READERS = (
    ("h5py", "h5py, one caller", "h5py", None),
    ("fresh 1", "bfly, 1 thread, the file opened and indexed", "h5py", 2.0),
    ("fresh 2", "bfly, 2 threads, the file opened and indexed", "h5py", 3.5),
    ("open 1", "bfly, 1 thread, the file open", "h5py", 2.0),
    ("open 2", "bfly, 2 threads, the file open", "h5py", 3.5),
    ("h5py pair", "h5py, two callers at once", "h5py pair", None),
    ("fresh pair", "bfly, two callers at once, 1 thread each", "h5py pair", None),
)
"""A reader, in words, what it is compared with, and how many times faster it shall be."""


def show_machine(facts: dict[str, str], console: Console) -> None:
    """Print what the figures are true for."""
    console.print(", ".join(f"{name} {value}" for name, value in facts.items()), highlight=False)


def show_serving(rows: Sequence[Serving], console: Console) -> None:
    """Print requests a second."""
    table = Table(title="Warm, requests a second: wrk, 16 connections; one process each")
    for name in ("answer", "data", "bytes", "bfly", "nginx", "of nginx", "first", "× first"):
        table.add_column(name, justify="left" if name in ("answer", "data") else "right")
    table.add_column(f"≥ {TIMES_THE_FIRST}×")
    for row in rows:
        rates = {name: median(samples) for name, samples in row.samples.items()}
        cells = [row.what, row.data, f"{row.nbytes:,}"]
        cells += [f"{rates[name]:,.0f}" if name in rates else "—" for name in ("bfly", "nginx")]
        cells.append(f"{rates['bfly'] / rates['nginx']:.2f}" if "nginx" in rates else "—")
        cells.append(str(row.first_butterfly))
        times = rates["bfly"] / row.first_butterfly if rates else None
        table.add_row(*cells, *_verdict(times, TIMES_THE_FIRST))
    console.print(table)
    for reason in {row.skipped for row in rows if row.skipped}:
        console.print(f"Skipped: {reason}", style="yellow")


def show_reading(row: Reading, console: Console) -> None:
    """Print the times of cutouts."""
    title = (
        f"Cold 256³ cutout: {row.data}, {row.dtype}, gzip HDF5 in 64³ chunks ({row.ratio:.1f}:1)"
    )
    table = Table(title=title)
    table.add_column("reader")
    for name in ("ms", "fastest", "slowest", "× h5py", "target"):
        table.add_column(name, justify="right")
    for key, words, peer, target in READERS:
        samples = row.samples[key]
        times = median(row.samples[peer]) / median(samples)
        ms = [f"{1000 * value:.1f}" for value in (median(samples), min(samples), max(samples))]
        table.add_row(words, *ms, *_verdict(times, target))
    console.print(table)


def _verdict(times: float | None, target: float | None) -> tuple[str, str]:
    """Give a ratio, and whether it is what it shall be."""
    if times is None:
        return "—", ""
    if target is None:
        return f"{times:.2f}", ""
    met = times >= target
    return f"{times:.2f}", f"[{'green' if met else 'red'}]≥ {target:g} {'✓' if met else '✗'}[/]"
