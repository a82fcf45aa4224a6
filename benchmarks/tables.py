"""The figures as tables: medians, ratios, targets."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from rich.table import Table

from benchmarks.edits import ELSEWHERE, HERE, ONCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from benchmarks.annotating import Annotating
    from benchmarks.connectome import Connectome
    from benchmarks.edits import Edited
    from benchmarks.large import Large
    from benchmarks.querying import Querying
    from benchmarks.reading import Reading
    from benchmarks.serving import Serving

__all__ = [
    "judged",
    "show_annotating",
    "show_connectome",
    "show_edits",
    "show_large",
    "show_machine",
    "show_protocols",
    "show_querying",
    "show_reading",
    "show_serving",
]

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

RELABELLED = {"edited": 0.6, ELSEWHERE: 0.7, HERE: 0.3}
"""At least so many times the rate of a chunk without edits."""

LOAD = "load from Parquet"

ENGINES = {
    "point look-up": {"Nodb": 3, "Sqlite": 4, "Postgres": 25},
    "box of 1,000": {"Nodb": 0.5, "Sqlite": 2.5, "Postgres": 13},
    "a neuron's synapses in a box": {"Nodb": 1.2, "Sqlite": 1.5, "Postgres": 8},
    "partners of a neuron": {"Nodb": 1.2, "Sqlite": 1.5, "Postgres": 16},
    "partners of a large neuron": {"Nodb": 1.2, "Sqlite": 1.5, "Postgres": 16},
    LOAD: {"Nodb": 10, "Sqlite": 30, "Postgres": 120},
}
"""At most so many times the tables in memory; to load `LOADED`, at most so many seconds."""

LOADED = 10_000_000

REQUESTS = 1500
"""At least so many boxes a second while rows are written."""

RESIDENT, TIMES_LARGER = 4, 2
"""At most so many GiB to load ten tiles, and so many times the time for a box in one tile."""


def show_machine(facts: dict[str, str], console: Console) -> None:
    """Print what the figures are true for."""
    console.print(", ".join(f"{name} {value}" for name, value in facts.items()), highlight=False)


def show_protocols(rows: Sequence[Serving], console: Console) -> None:
    """Print requests a second for one box through each protocol."""
    title = "64³ voxels, warm, requests a second: wrk, 16 connections; one process each"
    table = Table(title=title)
    for name in ("protocol", "data", "bytes", "bfly", "nginx", "of nginx"):
        table.add_column(name, justify="left" if name in ("protocol", "data") else "right")
    for row in rows:
        table.add_row(row.what, *_rates(row))
    console.print(table)


def _rates(row: Serving) -> list[str]:
    """Give the cells from a row's data to bfly's part of nginx."""
    rates = {name: median(samples) for name, samples in row.samples.items()}
    cells = [row.data, f"{row.nbytes:,}"]
    cells += [f"{rates[name]:,.0f}" if name in rates else "—" for name in ("bfly", "nginx")]
    return [*cells, f"{rates['bfly'] / rates['nginx']:.2f}" if "nginx" in rates else "—"]


def show_serving(rows: Sequence[Serving], console: Console) -> None:
    """Print requests a second."""
    table = Table(title="Warm, requests a second: wrk, 16 connections; one process each")
    for name in ("answer", "data", "bytes", "bfly", "nginx", "of nginx", "first", "× first"):
        table.add_column(name, justify="left" if name in ("answer", "data") else "right")
    table.add_column(f"≥ {TIMES_THE_FIRST}×")
    for row in rows:
        cells = [row.what, *_rates(row)]
        cells.append(str(row.first_butterfly))
        first = row.first_butterfly
        times = median(row.samples["bfly"]) / first if row.samples and first else None
        table.add_row(*cells, *judged(times, TIMES_THE_FIRST))
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
        table.add_row(words, *ms, *judged(times, target))
    console.print(table)


def show_edits(row: Edited, console: Console) -> None:
    """Print the rate of relabelled chunks beside stored ones."""
    table = Table(title=f"Edits: 64³ uint64 chunks, {row.chunk_edges:,} edges")
    for name in ("what", "measured", "× without edits", "target"):
        table.add_column(name, justify="left" if name == "what" else "right")
    for kept, samples in (("answer", row.answers), ("tile", row.tiles)):
        rates = {way: median(rounds) for way, rounds in samples.items()}
        for way, rate in rates.items():
            # After a merge, it is compared with a chunk that is asked for at the same pace.
            asked = "without" if way in ("without", "edited") else ONCE
            cells = judged(rate / rates[asked], RELABELLED.get(way))
            table.add_row(f"chunks a second, {kept} cached, {way}", f"{rate:,.0f}", *cells)
    console.print(table)


def show_connectome(row: Connectome, console: Console) -> None:
    """Print the times of loads, and of answers beside those of tables in memory."""
    of = ", ".join(f"{name} {version}" for name, version in row.versions.items())
    table = Table(title=f"{row.synapses:,} synapses; numpy sorted by cell = 1 ({of})")
    table.add_column("question")
    for name in ("", "p50 ms", "fastest", "slowest", "× numpy", "target"):
        table.add_column(name, justify="right" if name else "left")
    for question, samples in row.samples.items():
        for who, ms in samples.items():
            cells = [f"{value:.4f}" for value in (median(ms), min(ms), max(ms))]
            times = median(ms) / median(samples["numpy"])
            target = ENGINES[question].get(who)
            first = question if who == "numpy" else ""
            table.add_row(first, who, *cells, *judged(times, target, "≤"))
        table.add_section()
    for who, seconds in row.loads.items():
        target = ENGINES[LOAD][who] if row.synapses >= LOADED else None
        words, verdict = judged(seconds, target, "≤")
        table.add_row(LOAD, who, "", "", "", f"{words} s", verdict)
    console.print(table)
    for who, reason in row.skipped.items():
        console.print(f"Skipped: {who}: {reason}", style="yellow")


def show_querying(rows: Sequence[Querying], console: Console) -> None:
    """Print requests a second."""
    table = Table(
        title="Boxes of 100 to 1,000 synapses from Sqlite, 2 workers: wrk, 32 connections"
    )
    for name in ("", "a second", "target", "p50 ms", "p99 ms", "written"):
        table.add_column(name, justify="right" if name else "left")
    for row in rows:
        if row.skipped:
            console.print(f"Skipped: {row.skipped}", style="yellow")
            continue
        rate, verdict = judged(row.rate, REQUESTS if row.written else None)
        cells = rate, verdict, f"{row.p50:.1f}", f"{row.p99:.1f}"
        written = f"{row.written:,} rows ({row.written / row.seconds:,.0f}/s)"
        table.add_row(row.what, *cells, written if row.written else "—")
    console.print(table)


def show_annotating(rows: Sequence[Annotating], synapses: int, console: Console) -> None:
    """Print the times of annotations beside those of nginx."""
    table = Table(title=f"Annotations of {synapses:,} synapses from Sqlite, one client: ms")
    for name in ("", "annotations", "bytes", "p50", "p99", "nginx p50", "nginx p99", "× nginx"):
        table.add_column(name, justify="right" if name else "left")
    for row in rows:
        cells = [row.what, f"{row.annotations:,}", f"{row.nbytes:,}"]
        for who in ("bfly", "nginx"):
            ms = sorted(row.samples.get(who, []))
            cells += [f"{median(ms):.2f}", f"{ms[len(ms) * 99 // 100]:.2f}"] if ms else ["—", "—"]
        ours, theirs = (median(row.samples.get(who, [0])) for who in ("bfly", "nginx"))
        table.add_row(*cells, f"{ours / theirs:.2f}" if theirs else "—")
    console.print(table)
    for reason in {row.skipped for row in rows if row.skipped}:
        console.print(f"Skipped: {reason}", style="yellow")


def show_large(row: Large, console: Console) -> None:
    """Print what ten times the synapses take."""
    if row.skipped:
        console.print(f"Skipped: {row.skipped}", style="yellow")
        return
    table = Table(title=f"Sqlite with {row.synapses:,} synapses (file: {row.nbytes / 1e9:.1f} GB)")
    for name in ("", "smaller", "larger", "", "target"):
        table.add_column(name, justify="right")
    gib = row.resident / 2**30
    table.add_row("load, s", f"{row.loads[0]:.1f}", f"{row.loads[1]:.1f}", "", "")
    table.add_row("resident, GiB", "", f"{gib:.2f}", *judged(gib, RESIDENT, "≤"))
    for question, samples in row.samples.items():
        small, large = (median(ms) for ms in samples.values())
        target = TIMES_LARGER if question == "box of 1,000" else None
        verdict = judged(large / small, target, "≤")
        table.add_row(f"{question}, ms", f"{small:.4f}", f"{large:.4f}", *verdict)
    console.print(table)


def judged(value: float | None, target: float | None, sign: str = "≥") -> tuple[str, str]:
    """Give a figure, and whether it is what it shall be: at least, or at most (≤), a target."""
    if value is None:
        return "—", ""
    if target is None:
        return f"{value:,.2f}", ""
    met = value >= target if sign == "≥" else value <= target
    color, mark = ("green", "✓") if met else ("red", "✗")
    return f"{value:,.2f}", f"[{color}]{sign} {target:g} {mark}[/]"
