"""Synapses to measure on: as many as wanted, dense here and sparse there, of few large neurons.

They are made in tiles that lie side by side along x, 100 synapses a neuron. A tile has about
one synapse a cubic micrometre, in voxels of 40 × 8 × 8 nm, as cortex has.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rich.console import Console

    Column = np.ndarray[Any, np.dtype[Any]]
    Columns = dict[str, Column]

__all__ = ["A_NEURON", "MICROMETRE", "TILE", "extent", "neuron_id", "parquet", "synapse_id", "tile"]

TILE = 10_000_000
A_NEURON = 100
MICROMETRE = np.array([25, 125, 125])
"""In voxels, z, y, x."""

FIRST_NEURON = 720_575_940_600_000_000
"""Above 2^53, as root ids are."""

STRIDE = np.uint64(0x9E3779B97F4A7C15)
"""Times this odd number, modulo 2^64, the numbers of synapses are ids in no order at all, half
of them above 2^63, none of them twice."""

HUB = 30
"""The n-th neuron has 1 / (n + HUB) of the synapses of all (the Zipf–Mandelbrot law)."""


def extent(count: int) -> Column:
    """Give the voxels of a tile, z, y, x."""
    return np.round(count ** (1 / 3) * MICROMETRE).astype(np.int64)


def synapse_id(number: Column | int) -> Column:
    """Give the ids of synapses by their numbers."""
    return np.asarray(number, np.uint64) * STRIDE


def neuron_id(number: Column | int) -> Column:
    """Give the ids of neurons by their numbers."""
    return FIRST_NEURON + 1_000_003 * np.asarray(number, np.uint64)


def tile(count: int, place: int = 0) -> Columns:
    """Make the synapses of a tile, the same in every run: id, pre, post, z, y, x.

    Parameters
    ----------
    count : int
        How many.
    place : int
        Which tile along x.
    """
    random = np.random.default_rng([count, place])
    neurons, size = max(count // A_NEURON, 1), extent(count)
    # Neurons lie in groups some 30 µm wide, few of them with many; their synapses around them.
    groups = random.integers(size, size=(max(neurons // 1000, 1), 3))
    middles = groups[(len(groups) * random.random(neurons) ** 2).astype(np.int64)]
    middles = middles + random.normal(0, 10 * MICROMETRE, (neurons, 3)).astype(np.int64)
    names = neuron_id(place * neurons + random.permutation(neurons))
    pre, post = (_neurons(random, neurons, count) for _ in "ab")
    points = {
        axis: (middles[pre, i] + random.normal(0, 15 * MICROMETRE[i], count).astype(np.int64))
        % size[i]
        for i, axis in enumerate("zyx")
    }
    points["x"] += place * size[2]
    numbers = np.arange(place * count, (place + 1) * count, dtype=np.uint64)
    return {"id": synapse_id(numbers), "pre": names[pre], "post": names[post], **points}


def _neurons(random: np.random.Generator, neurons: int, count: int) -> Column:
    ranks = HUB * (1 + neurons / HUB) ** random.random(count) - HUB
    return np.minimum(ranks.astype(np.int64), neurons - 1)


def parquet(folder: Path, count: int, tiles: int, console: Console) -> Path:
    """Give the Parquet file of some tiles; `folder` keeps it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"synapses-{tiles * count}.parquet"
    if not path.exists():
        unfinished = path.with_suffix(".tmp")
        with console.status(f"Making {tiles * count:,} synapses, once"):
            _write(unfinished, (tile(count, place) for place in range(tiles)))
        os.replace(unfinished, path)
    return path


def _write(path: Path, tiles: Iterator[Columns]) -> None:
    writer = None
    for columns in tiles:
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table, row_group_size=1 << 20)
    if writer:
        writer.close()
