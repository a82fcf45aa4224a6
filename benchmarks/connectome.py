"""Databases of neurons and synapses beside tables in memory: loading, and four questions."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
import tempfile
import time
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.celled import Celled
from benchmarks.measure import Samples, WrongAnswer, interleaved
from benchmarks.questions import ask_engine, ask_numpy, check, chosen, p50
from benchmarks.synapses import tile
from bfly.keywords import RUNTIME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.questions import Ask, Question
    from bfly.databases.engine import Engine

__all__ = [
    "A_ROUND",
    "ENGINES",
    "Connectome",
    "configuration",
    "loaded",
    "measure",
    "opened",
    "taking_turns",
]

ENGINES = {
    "Nodb": "bfly.databases.nodb",
    "Sqlite": "bfly.databases.sqlite",
    "Postgres": "bfly.databases.postgres",
}
"""The class and its module."""

A_ROUND = 200
"""So many questions of a kind are asked in a round, others in each."""


@dataclass
class Connectome:
    """Questions on one dataset.

    Parameters
    ----------
    synapses : int
        How many there are.
    versions : dict
        Of what the databases rest on.
    loads : dict
        Seconds from the Parquet file to the first answer, by engine.
    samples : dict
        From a question to the milliseconds (the median of a round), by engine.
    skipped : dict
        From an engine to why it does not take part.
    """

    synapses: int
    versions: dict[str, str] = field(default_factory=dict)
    loads: dict[str, float] = field(default_factory=dict)
    samples: dict[str, Samples] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


def configuration(path: Path) -> dict[str, Any]:
    """Give the configuration of a dataset that has its synapses from a Parquet file."""
    dataset = {"name": "d", "path": str(path.parent), "synapses": {"path": str(path)}}
    sample = {"name": "s", "datasets": [dataset]}
    return {"bfly": {"experiments": [{"name": "e", "samples": [sample]}]}}


def opened(name: str, address: str) -> Engine:
    """Open a database as a server does."""
    engine: Engine = getattr(import_module(ENGINES[name]), name)(address, RUNTIME())
    return engine


def loaded(name: str, address: str, path: Path, synapses: int) -> tuple[Engine, float]:
    """Load a Parquet file into a database; gives the seconds as well.

    Raises
    ------
    WrongAnswer
        There are not as many synapses as there should be.
    """
    engine = opened(name, address)
    start = time.perf_counter()
    engine.load_config(configuration(path))
    seconds = time.perf_counter() - start
    if (count := engine.count("synapse", str(path.parent))) != synapses:
        raise WrongAnswer(f"{name} has {count} of {synapses} synapses")
    return engine, seconds


def measure(path: Path, synapses: int, sqlite: Path, rounds: int) -> Connectome:
    """Load a tile into each database, and ask questions.

    Parameters
    ----------
    path : Path
        The Parquet file of the first tile.
    synapses : int
        Of a tile.
    sqlite : Path
        Where to make the SQLite file, which stays.
    rounds : int
        How many samples are taken of each database.

    Raises
    ------
    WrongAnswer
        A database has another answer than there is in the columns.
    """
    result = Connectome(synapses, _versions())
    columns = tile(synapses)
    celled = Celled(columns)
    questions = chosen(columns, celled, (rounds + 1) * A_ROUND)
    del columns
    asks = {"numpy": ask_numpy(celled)}
    with contextlib.ExitStack() as stack:
        for name in ENGINES:
            try:
                address = stack.enter_context(_address(name, sqlite, result.versions))
                engine, result.loads[name] = loaded(name, address, path, synapses)
            except (ImportError, OSError) as error:
                result.skipped[name] = str(error)
            else:
                asks[name] = ask_engine(engine, str(path.parent))
        result.samples = taking_turns(rounds, questions, asks)
    return result


def taking_turns(
    rounds: int, questions: dict[str, list[Question]], asks: dict[str, dict[str, Ask]]
) -> dict[str, Samples]:
    """Ask all the same; gives the median milliseconds of each round, by question.

    Raises
    ------
    WrongAnswer
        An answer is not true.
    """
    samples = {}
    for name, asked in questions.items():
        contestants = {who: _samples(ask[name], asked) for who, ask in asks.items()}
        samples[name] = interleaved(rounds, contestants)
        for who, ask in asks.items():
            check(who, name, ask[name], asked)
    return samples


def _samples(ask: Ask, asked: list[Question]) -> Callable[[], float]:
    """Give what asks, whenever it is called, the next `A_ROUND` questions."""
    parts = itertools.cycle(range(0, len(asked), A_ROUND))

    def sample() -> float:
        start = next(parts)
        return p50(ask, asked[start : start + A_ROUND])

    return sample


def _versions() -> dict[str, str]:
    return {"SQLite": sqlite3.sqlite_version, "pyarrow": version("pyarrow")}


@contextlib.contextmanager
def _address(name: str, sqlite: Path, versions: dict[str, str]) -> Iterator[str]:
    """Give where a database is to be; PostgreSQL is a server that runs meanwhile."""
    if name != "Postgres":
        yield str(sqlite)
        return
    # Imported late: psycopg may not be installed.
    import psycopg

    from tests.databases.conftest import Server

    class Durable(Server):  # type: ignore[misc]
        """The server of the tests, but what is committed is on the disk."""

        def start(self) -> None:
            options = f"-h 127.0.0.1 -p {self.port} -k {self.folder}"
            self._run("pg_ctl", "-w", "-l", f"{self.folder}/log", "-o", options, "start")

    # Not below the results, which another user may not enter.
    with tempfile.TemporaryDirectory(prefix="bfly-bench-") as folder:
        server = Durable(Path(folder))
        try:
            with psycopg.connect(server.url()) as connection:
                (found,) = connection.execute("show server_version").fetchone() or ("",)
                versions["PostgreSQL"] = str(found)
            yield server.url()
        finally:
            server.stop("immediate")
