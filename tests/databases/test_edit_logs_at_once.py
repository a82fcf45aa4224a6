"""Concurrent edits, and processes killed at any moment: acknowledged edits are kept whole.

Seconds in the suite; ``BFLY_TEST_LONG=1`` makes it a minute and thirty kills.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import h5py
import httpx
import networkx as nx
import numpy as np
import pytest
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from bfly.databases.postgres import Postgres
from bfly.databases.sqlite import Sqlite
from bfly.edits.channel import ChannelEdits
from bfly.keywords import RUNTIME
from tests.fixtures.processes import configured, process

if TYPE_CHECKING:
    from pathlib import Path

LONG = bool(os.environ.get("BFLY_TEST_LONG"))
SECONDS, KILLS = (60, 30) if LONG else (2, 3)
COUNT = 8000
"""Labels of the volume, each of which is one voxel."""


@pytest.fixture
def path(tmp_path: Path) -> str:
    with h5py.File(tmp_path / "seg.h5", "w") as file:
        file["main"] = np.arange(COUNT, dtype="u4").reshape(20, 20, 20)
    return str(tmp_path / "seg.h5")


def client(port: int) -> Any:
    return connect(f"ws://127.0.0.1:{port}/ws/e::s::d/seg", max_size=None)


def hear(socket: ClientConnection) -> dict[str, Any]:
    return json.loads(socket.recv(timeout=60))


def labels(port: int) -> np.ndarray:
    at = f"http://127.0.0.1:{port}/pre/e::s::d/seg/0/0-20_0-20_0-20"
    return np.frombuffer(httpx.get(at, timeout=60).content, "u4").astype("u8")


def merged(state: dict[str, Any], ids: list[str]) -> bool:
    return any(set(ids) <= set(members) for members in state["merge"])


def partition(graph: nx.Graph) -> set[frozenset[int]]:
    return {frozenset(part) for part in nx.connected_components(graph) if len(part) > 1}


def write(
    port: int, seed: int, kept: list[list[str]], asked: list[list[str]], until: threading.Event
) -> None:
    """Merge triples of labels; each is kept once a state that has it was heard."""
    random = np.random.default_rng(seed)
    with contextlib.suppress(WebSocketException, OSError), client(port) as socket:
        hear(socket)
        while not until.is_set():
            ids = random.integers(1, COUNT, 3).astype(str).tolist()
            asked.append(ids)
            socket.send(json.dumps({"action": "save", "merge": [ids]}))
            state = hear(socket)
            while not merged(state, ids):
                assert state["error"] == ""
                state = hear(socket)
            kept.append(ids)


def read(port: int, seed: int, until: threading.Event, wrong: list[Any]) -> None:
    """Look whether all of each triple that is merged in a state is so, through HTTP and sockets."""
    with client(port) as socket:
        while not until.is_set():
            if seed % 2:
                found = labels(port)
                # A name is a member of its segment, which therefore has it itself.
                if (found[found.astype(int)] != found).any():
                    wrong.append("a segment whose name is in another")
            else:
                with contextlib.suppress(TimeoutError):
                    state = json.loads(socket.recv(timeout=0.5))
                    members = [i for part in state["merge"] for i in part]
                    if (
                        len(members) != len(set(members))
                        or min(map(len, state["merge"]), default=2) < 2
                    ):
                        wrong.append(state)


def test_eight_writers_and_sixteen_readers(path: str, tmp_path: Path) -> None:
    config = configured(tmp_path, path, **{"db-path": "bfly.db"})
    until, wrong, kept, asked = threading.Event(), [], [], []
    with process(config) as (_, port):
        threads = [
            threading.Thread(target=write, args=(port, i, kept, asked, until)) for i in range(8)
        ]
        threads += [threading.Thread(target=read, args=(port, i, until, wrong)) for i in range(16)]
        for thread in threads:
            thread.start()
        time.sleep(SECONDS)
        until.set()
        for thread in threads:
            thread.join(120)
        assert wrong == []
        assert len(kept) == len(asked) > 8
        graph = nx.Graph()
        for ids in kept:
            nx.add_path(graph, map(int, ids))
        served = labels(port)
    print(f"{len(kept)} operations were acknowledged", file=sys.stderr)
    with_segments: dict[int, set[int]] = {}
    for label, segment in enumerate(served.tolist()):
        with_segments.setdefault(segment, set()).add(label)
    assert {frozenset(p) for p in with_segments.values() if len(p) > 1} == partition(graph)


def test_killed_at_any_moment(path: str, tmp_path: Path) -> None:
    config = configured(tmp_path, path, **{"db-path": "bfly.db"})
    random, kept, asked = np.random.default_rng(7), [], []
    for kill in range(KILLS):
        until = threading.Event()
        with process(config) as (running, port):
            threads = [
                threading.Thread(target=write, args=(port, 100 * kill + i, kept, asked, until))
                for i in range(4)
            ]
            for thread in threads:
                thread.start()
            time.sleep(random.uniform(0.2, 1.5))
            running.send_signal(signal.SIGKILL)
            until.set()
            for thread in threads:
                thread.join(60)
        # What was acknowledged is there; what was asked alone may be, whole or not at all.
        edits = ChannelEdits(path, Sqlite(str(tmp_path / "bfly.db"), RUNTIME()).edit_log())
        logged = list(edits.operations())
        assert [operation.id for operation in logged] == list(range(1, len(logged) + 1))
        segments = edits.state.segments(np.arange(COUNT, dtype="u8"))
        for ids in kept:
            assert len({int(segments[int(i)]) for i in ids}) == 1
        graph = nx.Graph()
        for operation in logged:
            nx.add_path(graph, operation.supervoxels.tolist())
        allowed = nx.Graph()
        for ids in asked:
            nx.add_path(allowed, map(int, ids))
        for part in partition(graph):
            assert len({int(segments[i]) for i in part}) == 1
            assert nx.has_path(allowed, min(part), max(part))
        with process(config) as (_, port):
            assert np.array_equal(labels(port), segments)
    print(f"{len(kept)} of {len(asked)} operations were acknowledged", file=sys.stderr)
    assert kept


def test_two_processes_on_postgresql(path: str, tmp_path: Path, new_database: str) -> None:
    Postgres(new_database, RUNTIME())
    config = configured(tmp_path, path, **{"db-type": "Postgres", "db-path": new_database})
    with (
        process(config) as (_, one),
        process(config) as (_, two),
        client(one) as first,
        client(two) as second,
    ):
        assert hear(first)["merge"] == hear(second)["merge"] == []
        assert labels(two)[8] == 8
        for speaker, listener, port, ids in (
            (first, second, two, ["7", "8"]),
            (second, first, one, ["9", "8"]),
        ):
            speaker.send(json.dumps({"action": "save", "merge": [ids]}))
            assert merged(hear(speaker), ids)
            start = time.perf_counter()
            assert merged(hear(listener), ids)
            assert labels(port)[8] == int(ids[0])
            took = time.perf_counter() - start
            print(f"heard and served after {1000 * took:.0f} ms", file=sys.stderr)
