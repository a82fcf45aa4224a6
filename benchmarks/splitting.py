"""Splits of FIB-25 against the truth, and how long cuts take: ``python -m benchmarks.splitting``.

Pairs of true bodies that touch are joined on purpose. The truth is used to choose points, as a
proofreader who sees both neurons does, and to count what comes back; nothing else.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import imagecodecs
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.splitting_pairs import SIZE, Joined, Tissue, Voxels, joined, tissue
from benchmarks.splitting_peers import peers
from benchmarks.splitting_served import Served, Tables, merged_wrongly, wrong_lists
from bfly.splitting.contacts import contacts, face_means, inner_means
from bfly.splitting.edges import Edges, contact_edges
from bfly.splitting.inside import split_inside
from bfly.splitting.min_cut import OTHERS, SINK, SOURCE, Points, cut
from bfly.splitting.refusal import SplitRefused
from bfly.splitting.runs import runs_in

if TYPE_CHECKING:
    from collections.abc import Iterable

PAIRS, INSIDE, PICTURES = 200, 100, 10

COUNTS = (1, 3)
"""Points of each group."""

MARGIN = 16
"""Voxels of the box around the points in which one supervoxel is split."""

SPECK = 200
"""Voxels. Which body a smaller supervoxel belongs to is often arbitrary: most are on membranes."""


class Segment(NamedTuple):
    """The supervoxels of a joined pair, and the edges of their contacts without and with EM."""

    supervoxels: Voxels
    is_first: Voxels
    by_area: Edges
    by_brightness: Edges


def segment(data: Tissue, pair: Joined) -> Segment:
    ids = np.flatnonzero(np.isin(data.body, pair.bodies))
    runs = runs_in(data.supervoxels, ids[ids > 0].astype(np.uint64))
    touching = contacts(runs, SIZE)
    bright = (
        face_means(touching, data.image, (0, 0, 0)),
        inner_means(touching, runs, data.image, (0, 0, 0)),
    )
    present = np.unique(runs.labels)
    is_first = data.body[present.astype(np.int64)] == pair.bodies[0]
    return Segment(present, is_first, contact_edges(touching), contact_edges(touching, *bright))


def outcome(
    data: Tissue, sizes: Voxels, pair: Joined, whole: Segment, edges: Edges, count: int
) -> Served:
    """Cut contacts alone, without a server."""
    groups = [
        Points(data.supervoxels[tuple(places[:count].T)].astype(np.uint64), places[:count])
        for places in pair.points
    ]
    own = sizes[whole.supervoxels.astype(np.int64)]
    start = time.perf_counter()
    try:
        sides = cut(whole.supervoxels, edges, *groups).sides
    except SplitRefused:
        return Served(len(own), int(own.max()), 1.0, 1e3 * (time.perf_counter() - start))
    seconds = time.perf_counter() - start
    smaller = min(own[whole.is_first].sum(), own[~whole.is_first].sum())
    right = np.where(whole.is_first, SOURCE, SINK)
    wrong = own[(sides != right) & (sides < OTHERS)]
    return Served(
        len(wrong), int(wrong.max(initial=0)), float(wrong.sum() / smaller), 1e3 * seconds
    )


def between_supervoxels(
    data: Tissue, pairs: list[Joined], console: Console, folder: Path, has_server: bool
) -> None:
    sizes = np.bincount(data.supervoxels.ravel())
    table = Table(title=f"{len(pairs)} pairs of bodies joined: what comes back after a split")
    for name in ("joined by", "pairs", "points", "all supervoxels", f"those ≥ {SPECK} voxels"):
        table.add_column(name)
    for name in ("wrong < 1 %", "refused", "ms", "99 of 100"):
        table.add_column(name)
    segments = [segment(data, pair) for pair in pairs]
    for name, edges in (
        ("contacts alone, area", [whole.by_area for whole in segments]),
        ("contacts alone, brightness", [whole.by_brightness for whole in segments]),
    ):
        for count in COUNTS:
            rows = zip(pairs, segments, edges, strict=True)
            _add(table, name, count, [outcome(data, sizes, *row, count) for row in rows])
    if has_server:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            tables = Tables(Path(place), data)
            for name, joined_by in (
                ("server: a merge by points", merged_wrongly),
                ("server: one list of a table", wrong_lists),
            ):
                for count, served in joined_by(tables, data, pairs, COUNTS).items():
                    _add(table, name, count, served)
    console.print(table)


def _add(table: Table, name: str, count: int, rows: list[Served]) -> None:
    """Add a row of all pairs, and one of the pairs that weights were not chosen with."""
    for pairs, part in (("all", rows), ("half", rows[1::2])):
        table.add_row(
            name,
            pairs,
            str(count),
            *(
                f"{np.mean(shares):.1%}"
                for shares in (
                    [row.wrong == 0 for row in part],
                    [row.largest < SPECK for row in part],
                    [row.share < 0.01 for row in part],
                )
            ),
            str(sum(row.share == 1 for row in part)),
            *(f"{np.percentile([row.milliseconds for row in part], at):.0f}" for at in (50, 99)),
        )


class Inside(NamedTuple):
    """One pair as one supervoxel: a box, and what is known and true of it."""

    mask: Voxels
    truth: Voxels
    image: Voxels
    points: tuple[Voxels, Voxels]
    middle: Voxels


def as_one(data: Tissue, pair: Joined, count: int) -> Inside:
    groups = [places[:count] for places in pair.points]
    every = np.concatenate([*groups, [pair.contact]])
    low = np.maximum(every.min(axis=0) - MARGIN, 0)
    box = tuple(slice(a, b) for a, b in zip(low, every.max(axis=0) + MARGIN + 1, strict=True))
    bodies = data.body[data.supervoxels[box]]
    mask = np.isin(bodies, pair.bodies)
    truth = np.where(mask, np.where(bodies == pair.bodies[0], 1, 2), 0)
    points = groups[0] - low, groups[1] - low
    return Inside(mask, truth, data.image[box], points, pair.contact - low)


def inside_supervoxels(data: Tissue, pairs: list[Joined], console: Console, folder: Path) -> None:
    table = Table(title=f"{len(pairs)} pairs as one supervoxel: voxels on the wrong side")
    for name in ("with", "pairs", "points", "median", "mean", "9 of 10 below", "worst", "ms"):
        table.add_column(name)
    for has_image in (False, True):
        for count in COUNTS:
            errors, times, splits = [], [], []
            for pair in pairs:
                one = as_one(data, pair, count)
                start = time.perf_counter()
                try:
                    parts = split_inside(
                        one.mask, SIZE, *one.points, one.image if has_image else None
                    )
                except SplitRefused as refused:
                    console.print(f"refused: {refused}")
                    continue
                times.append(1e3 * (time.perf_counter() - start))
                errors.append(np.count_nonzero(parts != one.truth) / one.mask.sum())
                splits.append((one, parts))
            name = "an image" if has_image else "the mask alone"
            for which, some in (("all", errors), ("half", errors[1::2])):
                rates = median(some), np.mean(some), np.percentile(some, 90), max(some)
                shares = (f"{share:.1%}" for share in rates)
                table.add_row(name, which, str(count), *shares, f"{median(times):.0f}")
            if has_image and count == max(COUNTS):
                _draw_some(folder, errors, splits)
    console.print(table)


def _draw_some(folder: Path, errors: Iterable[float], splits: list[tuple[Inside, Voxels]]) -> None:
    """Draw the worst splits and some others."""
    order = np.argsort(list(errors))[::-1]
    others = np.linspace(PICTURES // 2, len(order) - 1, PICTURES - PICTURES // 2).astype(int)
    for rank in [*range(PICTURES // 2), *others.tolist()]:
        draw(folder / f"{rank:02d}.png", *splits[order[rank]])


def draw(path: Path, one: Inside, parts: Voxels) -> None:
    """Write the sections through the contact: image, truth, and cut with its errors in red."""
    colours = np.array([[128, 128, 128], [60, 120, 255], [255, 160, 40], [255, 0, 0]])
    views = []
    for axis, at in enumerate(one.middle.tolist()):
        grey = one.image.take(at, axis)[..., None].repeat(3, axis=2)
        row = [grey]
        for labels in (one.truth, np.where(parts != one.truth, 3, parts)):
            shown = labels.take(at, axis)
            row.append(np.where(shown[..., None] > 0, 0.6 * grey + 0.4 * colours[shown], grey))
        views.append(np.concatenate(row, axis=1).astype(np.uint8).repeat(3, 0).repeat(3, 1))
    width = max(view.shape[1] for view in views)
    rows = [np.pad(view, ((0, 6), (0, width - view.shape[1]), (0, 0))) for view in views]
    path.write_bytes(imagecodecs.png_encode(np.concatenate(rows)))


def main() -> None:
    parser = argparse.ArgumentParser(description="Split what was joined wrongly on purpose.")
    parser.add_argument("folder", type=Path, help="where pictures are written")
    parser.add_argument("--pairs", type=int, default=PAIRS, help="how many, by default %(default)s")
    parser.add_argument("--no-server", action="store_true", help="contacts alone, not the product")
    arguments = parser.parse_args()
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    console = Console(width=140)
    console.print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    console.print(peers())
    data = tissue()
    pairs = list(joined(data, arguments.pairs))
    between_supervoxels(data, pairs, console, folder, not arguments.no_server)
    inside_supervoxels(data, pairs[:INSIDE], console, folder)
    console.print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
