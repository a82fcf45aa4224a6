"""The figures of the hot paths as tables."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from rich.table import Table

from benchmarks.indexing import BFLY as BUILT
from benchmarks.indexing import CC3D as STATISTICS
from benchmarks.tables import judged
from benchmarks.users import BFLY, REQUEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from benchmarks.hot import Hot
    from benchmarks.indexing import Indexed
    from benchmarks.meshes import Meshed
    from benchmarks.sizes import Sizes
    from benchmarks.streams import Streams
    from benchmarks.targets import Target
    from benchmarks.throughput import Throughput
    from benchmarks.users import Users

__all__ = [
    "show_hot",
    "show_indexed",
    "show_meshes",
    "show_sizes",
    "show_streams",
    "show_targets",
    "show_throughput",
    "show_users",
]


def show_hot(rows: Sequence[Hot], console: Console) -> None:
    """Print how many times as fast as a peer each hot path is."""
    table = Table(title="Hot paths, milliseconds each")
    for name in ("work", "against", "bfly", "peer", "× peer", "target"):
        table.add_column(name, justify="left" if name in ("work", "against") else "right")
    for row in rows:
        ours, theirs = (1000 * median(row.samples[name]) for name in ("bfly", "peer"))
        ratio = judged(theirs / ours, row.target)
        table.add_row(row.work, row.against, f"{ours:.3f}", f"{theirs:.3f}", *ratio)
    console.print(table)


def show_indexed(row: Indexed, console: Console) -> None:
    """Print what a label index takes, and what is looked up in it."""
    table = Table(title=f"Label index of {row.labels:,} labels, milliseconds; {row.data}")
    for name in ("", "median"):
        table.add_column(name, justify="right" if name else "left")
    whose = {BUILT: "built by Butterfly", STATISTICS: "statistics of cc3d, in memory"}
    for name, seconds in {**row.builds, **row.looks}.items():
        table.add_row(whose.get(name, name), f"{1000 * median(seconds):.3f}")
    console.print(table)


def show_streams(row: Streams, console: Console) -> None:
    """Print what streams of 1 GiB take, and what they cost others."""
    table = Table(title=f"Cutouts of 1 GiB, raw, streamed over HTTP; {row.data}, repeated")
    for name in ("", "alone", "beside", "×"):
        table.add_column(name, justify="right" if name else "left")
    table.add_row("resident memory above idle, MiB", f"{median(row.resident):.0f}", "", "")
    for connections, samples in row.p99.items():
        alone, beside = (1000 * median(samples[name]) for name in ("alone", "beside"))
        what = f"p99 of a warm chunk, connections: {connections}, ms"
        table.add_row(what, f"{alone:.2f}", f"{beside:.2f}", f"{beside / alone:.2f}")
    alone, *others = (median(rates) for rates in row.rates.values())
    for connections, beside in zip(row.p99, others, strict=True):
        what = f"the stream, beside connections: {connections}, MiB a second"
        table.add_row(what, f"{alone:.0f}", f"{beside:.0f}", f"{beside / alone:.2f}")
    console.print(table)
    if row.skipped:
        console.print(f"Skipped: {row.skipped}", style="yellow")


def show_sizes(row: Sizes, console: Console) -> None:
    """Print what a chunk costs by the size of its volume."""
    table = Table(title="A cold 64³ chunk of sparse gzip HDF5, by the size of the volume")
    for name in ("volume", "ms", "× the smallest"):
        table.add_column(name, justify="right")
    smallest = median(next(iter(row.samples.values())))
    for name, samples in row.samples.items():
        seconds = median(samples)
        table.add_row(name, f"{1000 * seconds:.2f}", f"{seconds / smallest:.2f}")
    console.print(table)


def show_meshes(row: Meshed, console: Console) -> None:
    """Print what a mesh on demand takes, and its peers."""
    if row.skipped:
        console.print(f"No meshes: {row.skipped}")
        return
    title = f"Mesh of a body of {row.voxels:,} voxels, {row.triangles:,} triangles; {row.data}"
    table = Table(title=title)
    for name in ("", "milliseconds"):
        table.add_column(name, justify="right" if name else "left")
    for name, samples in row.samples.items():
        table.add_row(name, f"{1000 * median(samples):,.0f}")
    table.add_row("fragments computed after a merge", f"{row.touched} of {row.fragments}")
    console.print(table)


def show_targets(rows: Iterable[Target], console: Console) -> None:
    """Print all that has a target, the last table of a run."""
    table = Table(title="Hot paths: medians, and what they have to be")
    for name in ("work", "against", "bfly", "theirs", "figure", "target"):
        table.add_column(name, justify="left" if name in ("work", "against") else "right")
    for row in rows:
        verdict = judged(row.figure, row.target, "≥" if row.least else "≤")
        table.add_row(row.work, row.against, row.ours, row.theirs, *verdict)
    console.print(table)


def show_users(rows: Iterable[Users], console: Console) -> None:
    """Print what clients wait for, as people run them."""
    table = Table(title="The same client, data and machine; random cutouts of uint8, ms")
    for name in ("client", "cutout", "without bfly", "theirs", "bfly", "bfly, one request"):
        left = name in ("client", "without bfly")
        table.add_column(name, justify="left" if left else "right")
    for row in rows:
        ms = {who: f"{1000 * median(samples):.2f}" for who, samples in row.samples.items()}
        cutout = " × ".join(map(str, row.shape))
        alone = ms.get(REQUEST, "—")
        table.add_row(row.client, cutout, row.peer, ms[row.peer], ms[BFLY], alone)
    console.print(table)


def show_throughput(row: Throughput, console: Console) -> None:
    """Print requests a second by the number of connections."""
    if row.skipped:
        console.print(f"Skipped: {row.skipped}", style="yellow")
        return
    table = Table(title=f"Warm 64³ chunk, requests a second by connections; {row.data}")
    table.add_column("connections", justify="right")
    for who in row.rates:
        table.add_column(who, justify="right")
    for place, connections in enumerate(row.connections):
        rates = [f"{median(samples[place]):,.0f}" for samples in row.rates.values()]
        table.add_row(str(connections), *rates)
    console.print(table)
