"""The command ``python -m benchmarks``: every measurement, in one run."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from benchmarks import (
    annotating,
    box_cuts,
    connectome,
    cutouts,
    edits,
    file_tables,
    formats,
    hot,
    hot_tables,
    indexing,
    large,
    long_logs,
    many,
    meshes,
    proofread_tables,
    protocols,
    querying,
    reading,
    serving,
    sizes,
    skeletons,
    solid,
    streams,
    tables,
    throughput,
    users,
)
from benchmarks.data import volumes
from benchmarks.measure import WrongAnswer
from benchmarks.peers import machine
from benchmarks.synapses import TILE, parquet
from benchmarks.targets import targets_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.data import Volume

RESULTS = Path(__file__).parent / "results"
# The data is kept between runs: the synthetic tissue takes a while to make.
DATA = RESULTS / "data"

CHANNELS = 5_000
ASKED = 800
"""Channels in a folder, and how many of them are asked for a tile."""

EDITED, OPERATIONS = 10_000_000, 1_000_000
"""Supervoxels and operations of the longest log."""

CHUNK_EDGES = 1_000_000
"""Supervoxels that are merged where chunks are asked for."""

Figures = tuple[str, Any]


def main() -> int:
    """Run the benchmarks; the exit code is 1 if any answer was wrong."""
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--quick", action="store_true", help="fewer and shorter rounds, a tenth of the synapses"
    )
    size.add_argument(
        "--large", action="store_true", help="only 100 million synapses: needs 50 GB of disk"
    )
    given = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 120)
    facts = machine()
    tables.show_machine(facts, console)
    raw: dict[str, Any] = {"machine": facts, "quick": given.quick}
    DATA.mkdir(parents=True, exist_ok=True)
    kept = RESULTS / time.strftime("%Y-%m-%dT%H-%M-%S.json")
    try:
        figures = _large(console) if given.large else _all(given.quick, console)
        for name, row in figures:
            raw.setdefault(name, []).append(asdict(row))
            # A run that is cut off has taken minutes, too.
            kept.write_text(json.dumps(raw, indent=1) + "\n")
    except WrongAnswer as error:
        kept.unlink(missing_ok=True)
        console.print(f"A wrong answer: {error}", style="bold red")
        return 1
    if not given.large:
        hot_tables.show_targets(targets_of(raw), console)
    console.print(f"Every answer was right. All samples: {os.path.relpath(kept)}")
    console.print(f"As plots: python -m benchmarks.report {os.path.relpath(kept)}")
    return 0


def _all(quick: bool, console: Console) -> Iterator[Figures]:
    yield from _images(quick, console)
    yield from _channels(quick, console)
    yield from _synapses(quick, console)


def _images(quick: bool, console: Console) -> Iterator[Figures]:
    found = volumes(DATA, console)
    served = serving.measure(found[-1], rounds=3 if quick else 7, seconds=1 if quick else 3)
    tables.show_serving(served, console)
    for load in served:
        yield "serving", load
    rows = list(hot.measure(found[-1], rounds=3 if quick else 7, seconds=1 if quick else 3))
    hot_tables.show_hot(rows, console)
    for row in rows:
        yield "hot", row
    yield from _larger(found[-1], quick, console)
    chunks = protocols.measure(found[-1], rounds=3 if quick else 5, seconds=1)
    tables.show_protocols(chunks, console)
    for chunk in chunks:
        yield "protocols", chunk
    for volume in found:
        for path in (volume.em, volume.labels):
            read = reading.measure(volume.name, path, rounds=3 if quick else 11)
            tables.show_reading(read, console)
            yield "reading", read
    indexed = indexing.measure(found[-1], DATA, rounds=3 if quick else 7)
    hot_tables.show_indexed(indexed, console)
    yield "indexed", indexed
    voxels = formats.volume(found[-1].em)
    paths = formats.written(DATA, voxels, console)
    rows = list(cutouts.measure(paths, voxels, rounds=3 if quick else 9))
    file_tables.show_cutouts(rows, console)
    for row in rows:
        yield "cutouts", row
    used = list(users.measure(paths, voxels, rounds=1 if quick else 3))
    hot_tables.show_users(used, console)
    for row in used:
        yield "users", row
    yield from _proofreading(found[-1], quick, console)


def _proofreading(volume: Volume, quick: bool, console: Console) -> Iterator[Figures]:
    with tempfile.TemporaryDirectory(dir=DATA) as folder:
        edited = edits.measure(volume, Path(folder), CHUNK_EDGES, rounds=3 if quick else 11)
    tables.show_edits(edited, console)
    yield "edits", edited
    with tempfile.TemporaryDirectory(dir=DATA) as folder:
        few = 10 if quick else 1
        log = long_logs.measure(Path(folder), EDITED // few, OPERATIONS // few)
    proofread_tables.show_long_log(log, console)
    yield "long_logs", log
    cuts = box_cuts.measure(10 if quick else 50, rounds=1 if quick else 5)
    proofread_tables.show_box_cuts(cuts, console)
    yield "box_cuts", cuts


def _larger(volume: Volume, quick: bool, console: Console) -> Iterator[Figures]:
    streamed = streams.measure(volume, rounds=1 if quick else 5, seconds=1 if quick else 2)
    hot_tables.show_streams(streamed, console)
    yield "streams", streamed
    loads = throughput.measure(volume, rounds=1 if quick else 2)
    hot_tables.show_throughput(loads, console)
    yield "throughput", loads
    sized = sizes.measure(volume, rounds=3 if quick else 7)
    hot_tables.show_sizes(sized, console)
    yield "sizes", sized
    meshed = meshes.measure(DATA, rounds=1 if quick else 5)
    hot_tables.show_meshes(meshed, console)
    yield "meshes", meshed
    for made in skeletons.measure(DATA, rounds=1 if quick else 5):
        yield "skeletons", made
    if not quick:
        with console.status("A mesh of 2048³ voxels"):
            yield "solid", solid.measure()


def _channels(quick: bool, console: Console) -> Iterator[Figures]:
    channels, asked = (CHANNELS // 10, ASKED // 10) if quick else (CHANNELS, ASKED)
    folder = many.folder_of(DATA, channels, console)
    starts = []
    for _ in range(1 if quick else 5):
        with tempfile.TemporaryDirectory() as work:
            starts.append(many.measure(folder, channels, asked, Path(work)))
    file_tables.show_many(starts, console)
    for start in starts:
        yield "many", start


def _synapses(quick: bool, console: Console) -> Iterator[Figures]:
    synapses = TILE // 10 if quick else TILE
    path = parquet(DATA, synapses, 1, console)
    with tempfile.TemporaryDirectory(dir=DATA) as folder, tempfile.TemporaryDirectory() as work:
        sqlite = Path(folder) / "bfly.sqlite"
        asked = connectome.measure(path, synapses, sqlite, rounds=3 if quick else 7)
        tables.show_connectome(asked, console)
        yield "connectome", asked
        if "Sqlite" in asked.loads:
            rounds, place = 5 if quick else 50, Path(work) / "annotations"
            place.mkdir()
            shown = list(annotating.measure(path, synapses, sqlite, place, rounds))
            tables.show_annotating(shown, synapses, console)
            for row in shown:
                yield "annotating", row
            loads = querying.measure(path, synapses, sqlite, Path(work), 4 if quick else 20)
            tables.show_querying(loads, console)
            for load in loads:
                yield "querying", load


def _large(console: Console) -> Iterator[Figures]:
    with tempfile.TemporaryDirectory(dir=DATA) as folder:
        row = large.measure(DATA, Path(folder), TILE, 7, console)
    tables.show_large(row, console)
    yield "large", row


if __name__ == "__main__":
    sys.exit(main())
