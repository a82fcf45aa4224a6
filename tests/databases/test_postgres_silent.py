"""A PostgreSQL server that does not answer: its processes are stopped, connections stay open."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import h5py
import httpx
import numpy as np
import psycopg
import pytest

from bfly.butterfly import runtime_of
from bfly.config.config import Config
from bfly.databases import postgres
from bfly.databases import postgres_server as server_module
from bfly.databases.postgres import Postgres
from bfly.databases.postgres_server import EDITS, Limits, PostgresServer, Use
from bfly.edits.channel import ChannelEdits
from bfly.errors import DatabaseError
from bfly.keywords import RUNTIME
from bfly.server.webserver import Webserver
from bfly.testing.databases import PATH, SYNAPSE, random_synapses
from bfly.testing.edits import operation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ROW = {"__id": 7, "n1": 1, "n2": 2, "z": 0, "y": 0, "x": 0}

SOON = 30
"""Seconds: far above what is waited for, far below what a hanging thread would take."""


def opened(address: str) -> Postgres:
    return Postgres(address, RUNTIME())


@contextmanager
def soon() -> Iterator[None]:
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < SOON


def error_of(call: Callable[[], object]) -> str:
    with pytest.raises(DatabaseError, match=r"PostgreSQL \(.*\): .* \d+(\.\d+)? s") as caught:
        call()
    return str(caught.value)


def test_a_server_that_is_halted_is_an_error_in_seconds_and_found_again(own_server) -> None:
    database = opened(own_server.url())
    database.replace(PATH, "one", [], [random_synapses(2000)])
    log = database.edit_log()
    with log.writing():
        log.append("c", operation(1))
    entry = database.get_by_key(SYNAPSE, PATH, 7)
    calls: list[Callable[[], object]] = [
        lambda: database.get_by_key(SYNAPSE, PATH, 7),
        lambda: list(database.scan(PATH)),
        lambda: database.add_entry(SYNAPSE, PATH, ROW),
        lambda: ChannelEdits("c", log).append(lambda _: [operation(2)]),
        lambda: log.last("c"),
    ]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: database.get_by_key(SYNAPSE, PATH, 7), range(400)))
        with own_server.silent():
            with soon():
                messages = list(pool.map(error_of, 3 * calls))
            assert all(own_server.password not in message for message in messages)
            with soon():
                for _ in range(200):
                    error_of(calls[0])
            with soon():
                error_of(lambda: opened(own_server.url()))
        with soon():
            deadline = time.monotonic() + SOON
            while True:
                try:
                    assert database.get_by_key(SYNAPSE, PATH, 7) == entry
                    break
                except DatabaseError:
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
            ChannelEdits("c", log).append(lambda state: [operation(state.position + 1)])
    numbers = [found.id for found in log.read("c")]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 2
    assert len(list(database.scan(PATH))) > 1


def test_sessions_that_hang_while_the_server_lives_are_given_up(own_server, monkeypatch) -> None:
    short = Use(16, 4, Limits(1, 1, 1), Limits(1, 1, 1), b"bfly")

    def impatient(path: str, port: int | None, use: Use = short) -> PostgresServer:
        return PostgresServer(path, port, use)

    monkeypatch.setattr(postgres, "PostgresServer", impatient)
    database = opened(own_server.url())
    database.add_entry(SYNAPSE, PATH, ROW)
    with own_server.silent(accepting=True), soon():
        error_of(lambda: database.get_by_key(SYNAPSE, PATH, 7))
        # A new connection is as good as ever.
        assert database.get_by_key(SYNAPSE, PATH, 7) == ROW


def test_the_server_ends_a_question_that_takes_too_long(new_database, monkeypatch) -> None:
    short = Use(2, 2, Limits(1, 1, 1), Limits(1, 1, 1), b"bfly")
    asked = PostgresServer(new_database, None, short)
    with soon():
        assert "statement timeout after 1 s" in error_of(lambda: asked.ask("select pg_sleep(60)"))
    assert asked.ask("select 1") == [(1,)]


def test_a_question_that_takes_its_time_is_answered(new_database) -> None:
    asked = PostgresServer(new_database, None)
    assert asked.ask("select 1 from pg_sleep(5)") == [(1,)]


def test_neither_readers_nor_a_load_are_in_the_way_of_an_edit(new_database) -> None:
    database = opened(new_database)
    database.replace(PATH, "one", [], [random_synapses(50_000)])
    log = database.edit_log()
    scans = [database.scan(PATH) for _ in range(40)]
    for scan in scans:
        next(scan)
        next(scan)
    with database._transaction(), soon(), ThreadPoolExecutor(1) as other:
        edits = ChannelEdits("c", log)
        other.submit(edits.append, lambda _: [operation(1)]).result()
        assert log.last("c") == 1
    with soon():
        database.add_entry(SYNAPSE, PATH, ROW)
    for scan in scans:
        scan.close()


def test_an_edit_waits_for_another_writer_only_so_long(new_database, monkeypatch) -> None:
    short = Use(4, 2, EDITS.questions, Limits(5, 1, 60), EDITS.lock)
    monkeypatch.setattr("bfly.databases.postgres.EDITS", short)
    first, second = opened(new_database).edit_log(), opened(new_database).edit_log()
    with first.writing():
        first.append("c", operation(1))
        with soon():
            message = error_of(lambda: ChannelEdits("c", second).append(lambda _: [operation(1)]))
        assert "another writer" in message
        with soon(), ThreadPoolExecutor(1) as other:  # of the same process
            edits = ChannelEdits("c", first)
            message = other.submit(
                error_of, lambda: edits.append(lambda _: [operation(1)])
            ).result()
        assert "another writer" in message
    assert second.last("c") == 1


def test_a_writer_that_is_halted_does_not_lock_others_out(new_database, monkeypatch) -> None:
    short = Use(4, 2, EDITS.questions, Limits(5, 10, 1), EDITS.lock)
    monkeypatch.setattr("bfly.databases.postgres.EDITS", short)
    first, second = opened(new_database).edit_log(), opened(new_database).edit_log()

    def halted() -> None:
        with first.writing():
            first.append("c", operation(1))
            with soon():
                ChannelEdits("c", second).append(lambda _: [operation(1, who="second")])

    with pytest.raises(DatabaseError, match="idle"):
        halted()
    assert [found.who for found in second.read("c")] == ["second"]


def test_a_peer_that_is_gone_is_noticed(new_database) -> None:
    kept = PostgresServer(new_database, None).connect()
    with closing(kept):
        parameters = kept.info.get_parameters()
    assert parameters["tcp_user_timeout"] == f"{1000 * server_module.WAIT}"
    assert parameters["keepalives_idle"] == "10"
    own = PostgresServer(f"{new_database} tcp_user_timeout=7 connect_timeout=4", None).connect()
    with closing(own):
        assert own.info.get_parameters()["tcp_user_timeout"] == "7"


def test_images_are_served_while_the_server_is_halted(own_server, tmp_path: Path, caplog) -> None:
    with h5py.File(tmp_path / "em.h5", "w") as file:
        file["main"] = np.full((4, 64, 64), 9, "u1")
    with h5py.File(tmp_path / "seg.h5", "w") as file:
        file["main"] = np.full((4, 64, 64), 9, "u4")
    channels = [{"name": name, "path": str(tmp_path / f"{name}.h5")} for name in ("em", "seg")]
    dataset = {"name": "d", "path": str(tmp_path), "channels": channels}
    tree = [{"name": "e", "samples": [{"name": "s", "datasets": [dataset]}]}]
    config = Config.parse({"bfly": {"experiments": tree}}, "t.yaml")
    database = Postgres(own_server.url(), runtime_of(config)).load_config(config.dump())
    database.add_entry(SYNAPSE, str(tmp_path), ROW)
    server = Webserver(database, config)
    thread = threading.Thread(target=server.start, args=(0,), daemon=True)
    thread.start()
    assert server.wait()
    where = "experiment=e&sample=s&dataset=d"

    def voxels(channel: str, x: int) -> httpx.Response:
        at = f"/api/data?{where}&channel={channel}&x={x}&y=0&z=0&width=8&height=8&format=npz"
        return httpx.get(f"http://127.0.0.1:{server.port}{at}", timeout=2 * SOON)

    def fact(number: int) -> httpx.Response:
        at = f"/api/entity_feature?{where}&feature=synapse_parent&id={number}"
        return httpx.get(f"http://127.0.0.1:{server.port}{at}", timeout=2 * SOON)

    try:
        assert fact(7).status_code == 200
        assert voxels("seg", 0).status_code == 200
        with own_server.silent(), ThreadPoolExecutor(40) as pool:
            facts = [pool.submit(fact, number) for number in range(30)]
            with soon():
                for x in range(1, 20):
                    assert voxels("em", x).status_code == voxels("seg", x).status_code == 200
            for asked in facts:
                answer = asked.result()
                assert answer.status_code == 503
                assert "PostgreSQL (" in answer.text
        for _ in range(50):
            if fact(7).status_code == 200:
                break
            time.sleep(0.1)
        else:
            raise AssertionError("the server is not found again")
    finally:
        server.stop()
        thread.join(SOON)
    assert "Edits of other processes are not followed: PostgreSQL" in caplog.text
    assert own_server.password not in caplog.text


def test_a_server_that_refuses_is_not_silent(own_server) -> None:
    database = opened(own_server.url())
    own_server.stop("fast")
    with soon():
        for _ in range(20):
            with pytest.raises(DatabaseError, match=r"refused|terminating|closed"):
                database.get_by_key(SYNAPSE, PATH, 7)
    own_server.start()
    assert database.get_by_key(SYNAPSE, PATH, 7) == {}


def test_the_listener_goes_on_after_silence(own_server) -> None:
    one, two = opened(own_server.url()), opened(own_server.url())
    listening, writing = one.edit_log(), two.edit_log()
    listening.wait(1)
    with own_server.silent():
        listening.wait(0.2)
    with psycopg.connect(own_server.url()):
        ChannelEdits("c", writing).append(lambda _: [operation(1)])
    begun = time.monotonic()
    listening.wait(SOON)
    assert time.monotonic() - begun < SOON
    assert listening.last("c") == 1
    listening.close()
    listening.wait(0)
