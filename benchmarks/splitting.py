"""Splits of FIB-25 against the truth, and how long cuts take: ``python -m benchmarks.splitting``.

Pairs of true bodies that touch are joined on purpose. The truth is used to choose points, as a
proofreader who sees both neurons does, and to count what comes back; nothing else.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

import imagecodecs
import networkx as nx
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.splitting_pairs import SIZE, Joined, Tissue, Voxels, joined, tissue
from benchmarks.splitting_peers import peers
from bfly.splitting.contacts import Contacts, contacts, face_means
from bfly.splitting.edges import Edges, contact_edges
from bfly.splitting.inside import split_inside
from bfly.splitting.min_cut import OTHERS, SINK, SOURCE, Points, cut
from bfly.splitting.refusal import SplitRefused
from bfly.splitting.runs import runs_in

PAIRS, INSIDE, PICTURES = 200, 100, 10

MARGIN = 16
"""Voxels of the box around the points in which one supervoxel is split."""

SPECK = 200
"""Voxels. Which body a smaller supervoxel belongs to is often arbitrary: most are on membranes."""

STORED = 2.0**40
"""Times the weight of a contact: more than any contact has."""


class Segment(NamedTuple):
    """The supervoxels of a joined pair, their contacts and the brightness at these."""

    supervoxels: Voxels
    is_first: Voxels
    touching: Contacts
    brightness: Voxels


def segment(data: Tissue, pair: Joined) -> Segment:
    ids = np.flatnonzero(np.isin(data.body, pair.bodies))
    runs = runs_in(data.supervoxels, ids[ids > 0].astype(np.uint64))
    touching = contacts(runs, SIZE)
    present = np.unique(runs.labels)
    is_first = data.body[present.astype(np.int64)] == pair.bodies[0]
    return Segment(present, is_first, touching, face_means(touching, data.image, (0, 0, 0)))


def area_alone(whole: Segment) -> Edges:
    return contact_edges(whole.touching)


def area_and_brightness(whole: Segment) -> Edges:
    return contact_edges(whole.touching, whole.brightness)


def stored_edges(whole: Segment) -> Edges:
    """Add a tree of stored edges in each body."""
    return _with_stored(whole, has_wrong=False)


def stored_edges_and_a_wrong_one(whole: Segment) -> Edges:
    """Add a tree of stored edges in each body, and one at the strongest contact between both."""
    return _with_stored(whole, has_wrong=True)


def _with_stored(whole: Segment, *, has_wrong: bool) -> Edges:
    edges = area_and_brightness(whole)
    ends = np.searchsorted(whole.supervoxels, edges.pairs)
    is_wrong = whole.is_first[ends[:, 0]] != whole.is_first[ends[:, 1]]
    graph = nx.Graph()
    for at in np.flatnonzero(~is_wrong):
        graph.add_edge(*ends[at].tolist(), weight=edges.weights[at], at=at)
    stored = [row["at"] for *_, row in nx.maximum_spanning_edges(graph)]
    if has_wrong:
        stored.append(np.where(is_wrong, edges.weights, -1).argmax())
    weights = STORED * edges.weights[stored]
    return edges.plus(Edges(edges.pairs[stored], weights, edges.areas[stored]))


class Outcome(NamedTuple):
    """Wrong supervoxels, the largest one, wrong voxels relative to the smaller body, and time."""

    wrong: int
    largest: int
    share: float
    milliseconds: float


def outcome(
    data: Tissue, sizes: Voxels, pair: Joined, whole: Segment, edges: Edges, count: int
) -> Outcome:
    groups = [
        Points(data.supervoxels[tuple(places[:count].T)].astype(np.uint64), places[:count])
        for places in pair.points
    ]
    own = sizes[whole.supervoxels.astype(np.int64)]
    start = time.perf_counter()
    try:
        sides = cut(whole.supervoxels, edges, *groups).sides
    except SplitRefused:
        return Outcome(len(own), int(own.max()), 1.0, 1e3 * (time.perf_counter() - start))
    seconds = time.perf_counter() - start
    smaller = min(own[whole.is_first].sum(), own[~whole.is_first].sum())
    right = np.where(whole.is_first, SOURCE, SINK)
    wrong = own[(sides != right) & (sides < OTHERS)]
    return Outcome(
        len(wrong), int(wrong.max(initial=0)), float(wrong.sum() / smaller), 1e3 * seconds
    )


def between_supervoxels(data: Tissue, pairs: list[Joined], console: Console) -> None:
    sizes = np.bincount(data.supervoxels.ravel())
    table = Table(title=f"{len(pairs)} pairs of bodies joined: what comes back after a cut")
    for name in (
        "edges",
        "points",
        "all supervoxels",
        f"those ≥ {SPECK} voxels",
        "wrong < 1 %",
        "< 5 %",
        "ms",
    ):
        table.add_column(name)
    segments = [segment(data, pair) for pair in pairs]
    for weighed in (
        area_alone,
        area_and_brightness,
        stored_edges_and_a_wrong_one,
        stored_edges,
    ):
        every = [weighed(whole) for whole in segments]
        for count in (1, 3):
            rows = [
                outcome(data, sizes, *row, count)
                for row in zip(pairs, segments, every, strict=True)
            ]
            table.add_row(
                weighed.__name__.replace("_", " "),
                str(count),
                *(
                    f"{np.mean(shares):.1%}"
                    for shares in (
                        [row.wrong == 0 for row in rows],
                        [row.largest < SPECK for row in rows],
                        [row.share < 0.01 for row in rows],
                        [row.share < 0.05 for row in rows],
                    )
                ),
                f"{median(row.milliseconds for row in rows):.0f}",
            )
    console.print(table)


def inside_supervoxels(data: Tissue, pairs: list[Joined], console: Console, folder: Path) -> None:
    table = Table(title=f"{len(pairs)} pairs as one supervoxel: voxels on the wrong side")
    for name in ("fronts", "points", "median", "mean", "9 of 10 below", "worst", "refused", "ms"):
        table.add_column(name)
    bodies = data.body[data.supervoxels]
    for has_image in (False, True):
        for count in (1, 3):
            errors, times, refused = [], [], 0
            for number, pair in enumerate(pairs):
                groups = [places[:count] for places in pair.points]
                every = np.concatenate([*groups, [pair.contact]])
                low = np.maximum(every.min(axis=0) - MARGIN, 0)
                high = every.max(axis=0) + MARGIN + 1
                box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
                mask = np.isin(bodies[box], pair.bodies)
                image = data.image[box]
                start = time.perf_counter()
                try:
                    parts = split_inside(
                        mask, SIZE, groups[0] - low, groups[1] - low, image if has_image else None
                    )
                except SplitRefused:
                    refused += 1
                    continue
                times.append(1e3 * (time.perf_counter() - start))
                is_wrong = mask & (parts != np.where(bodies[box] == pair.bodies[0], 1, 2))
                errors.append(is_wrong.sum() / mask.sum())
                if has_image and count == 3 and number < PICTURES:
                    middle = pair.contact - low
                    _draw(folder / f"{number}.png", image, parts, is_wrong, middle)
            table.add_row(
                "between membranes" if has_image else "of the mask alone",
                str(count),
                *(
                    f"{share:.1%}"
                    for share in (
                        median(errors),
                        np.mean(errors),
                        np.percentile(errors, 90),
                        max(errors),
                    )
                ),
                str(refused),
                f"{median(times):.0f}",
            )
    console.print(table)


def _draw(path: Path, image: Voxels, parts: Voxels, is_wrong: Voxels, middle: Voxels) -> None:
    """Write the three sections through the contact: parts in blue and orange, errors in red."""
    colours = np.array([[128, 128, 128], [60, 120, 255], [255, 160, 40], [255, 0, 0]])
    labels = np.where(is_wrong, 3, parts)
    views = []
    for axis, at in enumerate(middle.tolist()):
        grey = image.take(at, axis)[..., None].repeat(3, axis=2)
        shown = labels.take(at, axis)
        blend = np.where(shown[..., None] > 0, 0.6 * grey + 0.4 * colours[shown], grey)
        pair = np.concatenate([grey, blend], axis=1).astype(np.uint8).repeat(3, 0).repeat(3, 1)
        views.append(pair)
    width = max(view.shape[1] for view in views)
    rows = [np.pad(view, ((0, 6), (0, width - view.shape[1]), (0, 0))) for view in views]
    path.write_bytes(imagecodecs.png_encode(np.concatenate(rows)))


def main() -> None:
    parser = argparse.ArgumentParser(description="Split what was joined wrongly on purpose.")
    parser.add_argument("folder", type=Path, help="where pictures are written")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    console = Console(width=120)
    console.print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    console.print(peers())
    data = tissue()
    pairs = list(joined(data, PAIRS))
    between_supervoxels(data, pairs, console)
    inside_supervoxels(data, pairs[:INSIDE], console, folder)
    console.print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
