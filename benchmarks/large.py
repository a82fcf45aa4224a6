"""Ten tiles of synapses in Sqlite beside one: memory to load them, time to answer."""

from __future__ import annotations

import shutil
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import TYPE_CHECKING

from benchmarks.celled import Celled
from benchmarks.connectome import A_ROUND, loaded, opened, taking_turns
from benchmarks.measure import Samples
from benchmarks.memory import peak
from benchmarks.questions import ask_engine, chosen
from benchmarks.synapses import parquet, tile

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

__all__ = ["TILES", "Large", "measure"]

TILES = 10

DISK = 500
"""Bytes of disk for each synapse, temporary files included."""


@dataclass
class Large:
    """One tile, and ten.

    Parameters
    ----------
    synapses : int
        Of ten tiles.
    loads : list of float
        Seconds to load one, and ten.
    resident : int
        The most bytes of memory that the process loading ten had.
    nbytes : int
        The size of the database.
    samples : dict
        From a question to the milliseconds (the median of a round) in one, and in ten.
    skipped : str
        Why there is nothing.
    """

    synapses: int
    loads: list[float] = field(default_factory=list)
    resident: int = 0
    nbytes: int = 0
    samples: dict[str, Samples] = field(default_factory=dict)
    skipped: str = ""


def measure(data: Path, folder: Path, synapses: int, rounds: int, console: Console) -> Large:
    """Load one tile and ten, each in a process of its own, and ask both the same.

    Parameters
    ----------
    data, folder : Path
        Keep the Parquet files, and the databases.
    synapses : int
        Of a tile.
    rounds : int
        How many samples are taken of each database.

    Raises
    ------
    WrongAnswer
        A database has another answer than there is in the columns.
    """
    result = Large(TILES * synapses)
    free = shutil.disk_usage(folder).free
    if free < DISK * result.synapses:
        result.skipped = f"{free / 1e9:.0f} GB are free, {DISK * result.synapses / 1e9:.0f} needed"
        return result
    asks = {}
    for tiles in (1, TILES):
        path, file = parquet(data, synapses, tiles, console), folder / f"{tiles}.sqlite"
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            work = process.submit(_load, path, file, tiles * synapses)
            seconds, result.resident = work.result()
        result.loads.append(seconds)
        engine = opened("Sqlite", str(file))
        asks[f"{tiles * synapses:,}"] = ask_engine(engine, str(path.parent))
    result.nbytes = sum(part.stat().st_size for part in folder.glob(f"{TILES}.sqlite*"))
    # What is in the box and whose it is is all in the first tile.
    columns = tile(synapses)
    questions = chosen(columns, Celled(columns), (rounds + 1) * A_ROUND)
    del columns
    result.samples = taking_turns(rounds, questions, asks)
    return result


def _load(path: Path, file: Path, synapses: int) -> tuple[float, int]:
    _, seconds = loaded("Sqlite", str(file), path, synapses)
    # Unlike the figure of getrusage this one is not that of the parent process to begin with.
    return seconds, peak("self")
