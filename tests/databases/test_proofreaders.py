"""Proofreaders at once: all that was acknowledged is kept, and each response is of one state.

Seconds in the suite; ``BFLY_TEST_LONG=1`` makes it two minutes, 8 writers, 32 readers and 50 kills.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest

from bfly.databases.postgres import Postgres
from bfly.databases.sqlite import Sqlite
from bfly.keywords import RUNTIME
from tests.fixtures.edit_record import Record
from tests.fixtures.little_channel import BRANCH, MAIN, labels, stored, write_labels
from tests.fixtures.processes import configured, process
from tests.fixtures.proofreaders import Proofreaders

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from subprocess import Popen

    from bfly.edits.log import EditLog

LONG = bool(os.environ.get("BFLY_TEST_LONG"))
SECONDS, WRITERS, READERS, KILLS, EDITS = (120, 8, 32, 50, 50) if LONG else (2, 4, 4, 2, 3)


class Lab:
    """A channel, its database, and how many servers share it."""

    def __init__(self, folder: Path, settings: dict[str, Any], servers: int) -> None:
        self.path = str(folder / "seg.h5")
        write_labels(folder / "seg.h5")
        kept = {"folder": str(folder / "kept")}
        self.config = configured(folder, self.path, pyramid=kept, **settings)
        self.servers = servers
        self.database = settings["db-path"]
        self.is_sqlite = settings["db-type"] == "Sqlite"
        self.records = [Record(self.path, line, self.open_log) for line in (MAIN, BRANCH)]

    def open_log(self) -> EditLog:
        engine = Sqlite if self.is_sqlite else Postgres
        return engine(self.database, RUNTIME()).edit_log()

    def check_file(self) -> None:
        if self.is_sqlite:
            with sqlite3.connect(self.database) as connection:
                assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]

    def check(self, proofreaders: Proofreaders, ports: list[int]) -> None:
        """Check the log, and what all servers have of it."""
        for record in self.records:
            record.read_on(proofreaders)
            for port in ports:
                with client(port) as server:
                    wait_for(lambda s=server, r=record: _position(s, r.line) == r.last)
                    record.check_served(server)


@pytest.fixture(params=["sqlite", "postgresql"])
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Lab:
    """One server on SQLite, two on PostgreSQL."""
    if request.param == "sqlite":
        return Lab(tmp_path, {"db-type": "Sqlite", "db-path": str(tmp_path / "bfly.db")}, 1)
    database = request.getfixturevalue("new_database")
    Postgres(database, RUNTIME())
    return Lab(tmp_path, {"db-type": "Postgres", "db-path": database}, 2)


def client(port: int) -> httpx.Client:
    return httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120)


def wait_for(is_there: Callable[[], bool]) -> None:
    """Wait until a server has what is expected; half a minute is a failure."""
    until = time.monotonic() + 30
    while not is_there():
        assert time.monotonic() < until
        time.sleep(0.005)


def _position(server: httpx.Client, line: str) -> int:
    return server.get(f"/api/edits/e/s/d/{line}/log?count=1").json()["last"]


def test_many_proofreaders_at_once(lab: Lab) -> None:
    """Edits that conflict: they are refused with names, and no reader sees a part of one."""
    proofreaders = Proofreaders()
    with ExitStack() as stack:
        ports = [_begun(stack, lab)[1] for _ in range(lab.servers)]
        proofreaders.begin(ports[0])
        for port in ports:
            proofreaders.start(port, WRITERS // lab.servers, READERS // lab.servers)
        time.sleep(SECONDS)
        proofreaders.stop()
        assert proofreaders.wrong == []
        lab.check(proofreaders, ports)
    for record in lab.records:
        for (_, line), seen in proofreaders.seen.items():
            if line == record.line:
                record.check_seen(seen)
    print(
        f"{len(proofreaders.told)} edits, {sum(map(len, proofreaders.seen.values()))} responses to "
        f"readers; {dict(sorted(proofreaders.statuses.items()))}",
        file=sys.stderr,
    )


def test_a_server_killed_while_it_writes(lab: Lab) -> None:
    """After each kill: the log, the states, the file, the labels and the index of all servers."""
    random, proofreaders = np.random.default_rng(3), Proofreaders()
    with ExitStack() as stack:
        servers = [_begun(stack, lab) for _ in range(lab.servers)]
        proofreaders.begin(servers[0][1])
        for _ in range(KILLS):
            told = len(proofreaders.told)
            for _, port in servers:
                proofreaders.start(port, 4, 0)
            while len(proofreaders.told) < told + 4 and not proofreaders.wrong:
                time.sleep(0.01)
            time.sleep(random.uniform(0, 0.5))
            killed = int(random.integers(len(servers)))
            running, port = servers[killed]
            proofreaders.lose(port)
            running.send_signal(signal.SIGKILL)
            running.wait()
            proofreaders.stop()
            assert proofreaders.wrong == []
            lab.check_file()
            servers[killed] = _begun(stack, lab)
            lab.check(proofreaders, [port for _, port in servers])
    asked, told = len(proofreaders.asked), len({each.key for each in proofreaders.told})
    last, kinds = [record.last for record in lab.records], proofreaders.kinds
    print(
        f"{KILLS} kills: {told} edits of {asked} were acknowledged, {last} are the last operations "
        f"of the channel and its branch; {kinds}",
        file=sys.stderr,
    )


def _begun(stack: ExitStack, lab: Lab) -> tuple[Popen[str], int]:
    return stack.enter_context(process(lab.config))


def block(number: int) -> tuple[list[int], list[int]]:
    """Return the first voxel and the end (x, y, z) of the block with a label."""
    low = np.argwhere(stored() == number)[0][::-1]
    return low.tolist(), (low + 2).tolist()


def edits(number: int) -> Iterator[tuple[str, str, str, dict[str, Any], int]]:
    """Yield edits: name, line, action, words, and a label whose last voxel changes by it."""
    merged, painted, split, branched = (each * 64 + number for each in (1, 3, 5, 7))
    yield "merge", MAIN, "merge", {"ids": [merged, merged + 64]}, merged + 64
    yield "paint", MAIN, "paint", {"box": block(painted), "id": "new"}, painted
    low, high = block(split)
    points = {"sources": [low], "sinks": [[each - 1 for each in high]]}
    yield "split inside", MAIN, "split", points, split
    yield "paint of the branch", BRANCH, "paint", {"box": block(branched), "id": "new"}, branched


def test_an_edit_is_served_by_another_server(lab: Lab) -> None:
    """Each edit through one is in the voxels of the other; both on one database."""
    took: dict[str, list[float]] = {}
    with (
        process(lab.config) as (_, one),
        process(lab.config) as (_, two),
        client(one) as writer,
        client(two) as reader,
    ):
        Proofreaders().begin(one)
        for number in range(1, EDITS + 1):
            for name, line, action, words, label in edits(number):
                ends = [np.flatnonzero(stored() == label)[each] for each in (0, -1)]

                def shown(line: str = line, ends: Any = ends) -> list[int]:
                    return np.frombuffer(labels(reader, line).content, "<u4")[ends].tolist()

                before = shown()
                answer = writer.post(f"/api/edits/e/s/d/{line}/{action}", json=words)
                acknowledged = time.perf_counter()
                assert answer.status_code == 200, answer.text
                wait_for(lambda before=before, shown=shown: shown() != before)
                took.setdefault(name, []).append(1000 * (time.perf_counter() - acknowledged))
                is_apart = len(set(shown())) == 2
                assert is_apart == (action == "split")
    for name, each in took.items():
        told = np.percentile(each, [50, 90, 99, 100]).round().tolist()
        print(f"{name}: served after ms (p50, p90, p99, most): {told}", file=sys.stderr)
