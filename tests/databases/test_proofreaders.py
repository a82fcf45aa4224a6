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
from tests.fixtures.processes import configured, process
from tests.fixtures.proofreaders import Proofreaders, labels, write_labels

if TYPE_CHECKING:
    from collections.abc import Callable
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
        self.record = Record(self.path, self.open_log)

    def open_log(self) -> EditLog:
        engine = Sqlite if self.is_sqlite else Postgres
        return engine(self.database, RUNTIME()).edit_log()

    def check_file(self) -> None:
        if self.is_sqlite:
            with sqlite3.connect(self.database) as connection:
                assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]


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


def wait_for(server: httpx.Client, expected: Callable[[Any], bool]) -> None:
    """Wait until a server has the labels that are expected; half a minute is a failure."""
    until = time.monotonic() + 30
    while not expected(np.frombuffer(labels(server).content, "<u4")):
        assert time.monotonic() < until
        time.sleep(0.005)


def test_many_proofreaders_at_once(lab: Lab) -> None:
    """Edits that conflict: they are refused with names, and no reader sees a part of one."""
    proofreaders = Proofreaders()
    with ExitStack() as stack:
        ports = [stack.enter_context(process(lab.config))[1] for _ in range(lab.servers)]
        for port in ports:
            proofreaders.start(port, WRITERS // lab.servers, READERS // lab.servers)
        time.sleep(SECONDS)
        proofreaders.stop()
        assert proofreaders.wrong == []
        lab.record.read_on(proofreaders)
        for port in ports:
            with client(port) as server:
                last = lab.record.last
                wait_for(server, lambda _, s=server, n=last: _position(s) == n)
                lab.record.check_served(server)
    assert proofreaders.told
    for seen in proofreaders.seen.values():
        lab.record.check_seen(seen)
    print(
        f"{len(proofreaders.told)} edits, {sum(map(len, proofreaders.seen.values()))} responses to "
        f"readers; {dict(sorted(proofreaders.statuses.items()))}",
        file=sys.stderr,
    )


def _position(server: httpx.Client) -> int:
    return server.get("/api/edits/e/s/d/seg/log?count=1").json()["last"]


def test_a_server_killed_while_it_writes(lab: Lab) -> None:
    """After each kill: the log, the states, the file, the labels and the index of all servers."""
    random, proofreaders = np.random.default_rng(3), Proofreaders()
    with ExitStack() as stack:
        servers = [_begun(stack, lab) for _ in range(lab.servers)]
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
            lab.record.read_on(proofreaders)
            servers[killed] = _begun(stack, lab)
            for _, port in servers:
                with client(port) as server:
                    last = lab.record.last
                    wait_for(server, lambda _, s=server, n=last: _position(s) == n)
                    lab.record.check_served(server)
    asked, told = len(proofreaders.asked), len({key for key, _ in proofreaders.told})
    print(f"{KILLS} kills: {told} edits of {asked} were acknowledged, ", file=sys.stderr, end="")
    print(f"{lab.record.last} are in the log", file=sys.stderr)
    assert told


def _begun(stack: ExitStack, lab: Lab) -> tuple[Popen[str], int]:
    return stack.enter_context(process(lab.config))


def test_an_edit_is_served_by_another_server(lab: Lab) -> None:
    """Each merge through one is in the voxels of the other; both on one database."""
    took = []
    with (
        process(lab.config) as (_, one),
        process(lab.config) as (_, two),
        client(one) as writer,
        client(two) as reader,
    ):
        assert labels(reader).is_success
        for number in range(EDITS):
            ids = [2 * number + 1, 2 * number + 2]
            answer = writer.post("/api/edits/e/s/d/seg/merge", json={"ids": ids})
            acknowledged = time.perf_counter()
            assert answer.status_code == 200
            wait_for(reader, lambda names, ids=ids: names[ids[1] - 1] == ids[0])
            took.append(1000 * (time.perf_counter() - acknowledged))
    told = np.percentile(took, [50, 90, 99, 100]).round().tolist()
    print(f"served after ms (p50, p90, p99, most): {told}", file=sys.stderr)
