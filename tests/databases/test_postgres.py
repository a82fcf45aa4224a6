from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import numpy as np
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bfly.databases.packed.database import KINDS, Gone
from bfly.databases.postgres import Postgres
from bfly.errors import DatabaseError
from bfly.keywords import RUNTIME
from bfly.testing.databases import PATH, SYNAPSE, DatabaseSuite, random_synapses


def opened(address: str, port: int | None = None) -> Postgres:
    runtime = RUNTIME()
    runtime.DB.PORT.VALUE = port
    return Postgres(address, runtime)


@pytest.fixture
def place(new_database: str) -> str:
    return new_database


class TestPostgres(DatabaseSuite):
    @pytest.fixture
    def place(self, new_database: str) -> str:
        return new_database

    def open(self, place, runtime):
        return Postgres(place, runtime)


def test_on_which_server(postgres: str, capsys: pytest.CaptureFixture[str]) -> None:
    with psycopg.connect(postgres) as connection, capsys.disabled():
        version = connection.execute("select version()").fetchone()[0]
        print(version, file=sys.stderr)
    assert version.startswith("PostgreSQL ")


# Packs


def key(number: int) -> bytes:
    return number.to_bytes(8, "big")


@pytest.fixture
def packs(place: str) -> Postgres:
    """A database in which set 7 has packs at 10, 20, ... 90 of each kind, b"0" to b"8"."""
    database = opened(place)
    with database._transaction():
        database._create(7)
        for kind in KINDS:
            database._fill(7, kind, ((key(10 * i + 10), b"%d" % i) for i in range(9)))
    return database


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ([], ""),
        ([(20, 20)], "1"),
        ([(25, 29)], "1"),
        ([(25, 30)], "12"),
        ([(5, 9)], ""),
        ([(5, 30)], "012"),
        ([(95, 2**64 - 1)], "8"),
        ([(0, 2**64 - 1)], "012345678"),
        ([(25, 25), (81, 99), (29, 31)], "1278"),
    ],
)
def test_a_range_begins_with_the_pack_of_its_lowest_key(packs, ranges, expected):
    bounds = [(key(low), key(high)) for low, high in ranges]
    for kind in KINDS:
        assert sorted(dict(packs._read(7, kind, bounds)).values()) == list(
            map(str.encode, expected)
        )


def test_packs_of_a_set_in_order(packs):
    with packs._transaction():
        packs._create(8)
        assert list(packs._scan(8, "link")) == []
        keys = [os.urandom(24) for _ in range(500)]
        packs._write(8, "link", [(k, k) for k in keys])
        packs._write(8, "link", [(k, b"new") for k in keys[:100]])
        packs._remove(8, "link", [*keys[100:200], b"not there"])
        expected = {**dict.fromkeys(keys[:100], b"new"), **{k: k for k in keys[200:]}}
        assert list(packs._scan(8, "link")) == sorted(expected.items())
        assert list(packs._scan(8, "place")) == []
    assert list(packs._scan(8, "link")) == sorted(expected.items())
    assert len(list(packs._scan(7, "link"))) == 9


def test_large_packs_come_back_as_they_were(packs):
    blobs = [os.urandom(size) for size in (0, 1, 2000, 100_000, 5_000_000)]
    given = [(key(100 + i), blob) for i, blob in enumerate(blobs)]
    with packs._transaction():
        packs._create(8)
        packs._fill(8, "synapse", given[:3])
        packs._fill(8, "synapse", given[3:])
    assert list(packs._read(8, "synapse", [(key(0), key(999))])) == given
    assert list(packs._scan(8, "synapse")) == given


def test_a_set_that_was_dropped_is_gone(packs, place):
    other = opened(place)
    with packs._transaction():
        packs._drop(7)
    for database in (packs, other):
        for kind in KINDS:
            with pytest.raises(Gone):
                database._read(7, kind, [(key(0), key(99))])
            with pytest.raises(Gone):
                next(database._scan(7, kind))


def tables(place: str) -> set[str]:
    with psycopg.connect(place) as connection:
        found = connection.execute("select tablename from pg_tables where schemaname = 'bfly'")
        return {name for (name,) in found}


def test_a_reader_holds_nothing_between_two_pages(packs, place):
    everything = [(key(i), bytes(10_000)) for i in range(500)]
    with packs._transaction():
        packs._create(8)
        packs._fill(8, "synapse", everything)
    scans = [packs._scan(8, "synapse") for _ in range(40)]
    for scan in scans:
        assert next(scan) == everything[0]
    with psycopg.connect(place) as connection:
        (held,) = connection.execute(
            "select count(*) from pg_stat_activity "
            "where datname = current_database() and state like 'idle in transaction%'"
        ).fetchone()
    assert held == 0
    with packs._transaction():
        packs._write(8, "synapse", [(key(400), b"new")])
    assert list(scans[0]) == [*everything[1:400], (key(400), b"new"), *everything[401:]]
    with packs._transaction():
        packs._drop(8)
    assert "synapse_8" not in tables(place)
    with pytest.raises(Gone):
        list(scans[1])


def test_what_was_left_over_goes_with_the_next_start(packs, place):
    with psycopg.connect(place) as reader:
        reader.execute("select count(*) from bfly.link_7")
        with packs._transaction():
            packs._drop(7)
        assert "link_7" in tables(place)
    opened(place)
    assert tables(place) == {"sets", "words"}


def test_a_transaction_is_seen_whole_or_not_at_all(packs, place):
    other = opened(place)
    with packs._transaction():
        packs._set("name", "one")
        packs._write(7, "neuron", [(key(10), b"new")])
        assert packs._get("name") == "one"
        assert list(packs._read(7, "neuron", [(key(10), key(10))])) == [(key(10), b"new")]
        assert other._get("name") is None
        assert list(other._read(7, "neuron", [(key(10), key(10))])) == [(key(10), b"0")]
    assert other._get("name") == "one"
    assert list(other._read(7, "neuron", [(key(10), key(10))])) == [(key(10), b"new")]

    @packs._transaction()
    def fail() -> None:
        packs._set("name", "two")
        packs._create(9)
        packs._drop(7)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    for database in (packs, other):
        assert database._get("name") == "one"
        assert len(list(database._scan(7, "link"))) == 9


def test_writers_follow_each_other(place):
    databases = [opened(place) for _ in range(3)]

    def count(number: int) -> None:
        database = databases[number % 3]
        for _ in range(20):
            with database._transaction():
                database._set("count", str(int(database._get("count") or 0) + 1))

    with ThreadPoolExecutor(9) as pool:
        list(pool.map(count, range(9)))
    assert databases[0]._get("count") == "180"


def test_more_scans_than_connections_for_questions_leave_room_for_these(packs):
    scans = [packs._scan(7, "link") for _ in range(10)]
    for scan in scans:
        next(scan)
    with ThreadPoolExecutor(40) as pool:
        read = [pool.submit(packs._read, 7, "link", [(key(10), key(10))]) for _ in range(400)]
        assert all(list(done.result()) == [(key(10), b"0")] for done in read)
    with packs._transaction():
        packs._set("a", "b")
    assert [len(list(scan)) for scan in scans] == [8] * 10


@pytest.mark.parametrize("word", ["", "é\n\t'\"\\", "\udcff", "\U0001f9e0", "a" * 10_000])
def test_words_are_kept_as_they_are(packs, word):
    with packs._transaction():
        packs._set(f"path:{word[:1000]}", word)
    assert packs._get(f"path:{word[:1000]}") == word


# Several Butterflies


def test_two_instances_see_each_others_rows_at_once(place):
    one, two = opened(place), opened(place)
    one.replace(PATH, "files", [], [random_synapses(1000)])
    assert two.fingerprint(PATH) == "files"
    assert len(two.synapse_ids(SYNAPSE, PATH, [-(10**6)] * 3, [10**6] * 3)) == 1000
    for number, (writer, reader) in enumerate([(one, two), (two, one)], start=2000):
        entry = {"__id": number, "n1": 2**64 - 2, "n2": 1, "z": 1, "y": 2, "x": 3}
        writer.add_entry(SYNAPSE, PATH, entry)
        assert reader.get_by_key(SYNAPSE, PATH, number) == entry
        assert number in reader.synapse_ids(SYNAPSE, PATH, [1, 2, 3], [2, 3, 4])
        assert number in reader.neuron_children(SYNAPSE, PATH, 1, [1, 2, 3], [2, 3, 4])
    two.replace(PATH, "other", [], [random_synapses(10)])
    assert len(one.ids(SYNAPSE, PATH)) == 10
    assert one.fingerprint(PATH) == "other"


def test_first_starts_at_once(place):
    start = threading.Barrier(8)

    def run(number: int) -> None:
        start.wait()
        opened(place).add_path(f"/{number}", "/data")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(run, range(8)))
    assert [opened(place).get_path(f"/{i}") for i in range(8)] == ["/data"] * 8


WRITER = """
import sys
from bfly.databases.postgres import Postgres
from bfly.keywords import RUNTIME
from bfly.testing.databases import PATH, random_synapses
database, first = Postgres(sys.argv[1], RUNTIME()), int(sys.argv[2])
print("ready", flush=True)
for number in range(first, first + 1000):
    database.replace(PATH, str(number), [], [random_synapses(2000, seed=number)])
    print(number, 0, flush=True)
    for entry in range(1, 11):
        row = {"__id": 10_000 + entry, "n1": 1, "n2": 2, "z": 0, "y": 0, "x": 0}
        database.add_entry("synapse", PATH, row)
        print(number, entry, flush=True)
"""


def test_a_killed_client_leaves_whole_writes_and_all_it_acknowledged(place):
    database = opened(place)
    database.replace(PATH, "0", [], [random_synapses(2000, seed=0)])
    random, loads, entries = np.random.default_rng(5), 0, 0
    for _ in range(20):
        before = int(database.fingerprint(PATH))
        command = [sys.executable, "-c", WRITER, place, str(before + 1)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout.readline() == "ready\n"
            time.sleep(random.uniform(0, 0.4))
            writer.send_signal(signal.SIGKILL)
            lines = [line for line in writer.stdout.read().split("\n")[:-1] if line]
        load, entry = map(int, lines[-1].split()) if lines else (before, None)
        # The server may still be busy with the last that it was told.
        with database._transaction():
            found = int(database.fingerprint(PATH))
            rows = database.rows(SYNAPSE, PATH, database.ids(SYNAPSE, PATH))
        written = len(rows["z"]) - 2000
        assert found in (load, load + 1)
        for name, column in random_synapses(2000, seed=found).items():
            assert np.array_equal(rows[name][:2000], column)
        assert rows["__id"][2000:].tolist() == list(range(10_001, 10_001 + written))
        if found > load:
            assert (entry, written) in [(10, 0), (None, 0)]
        elif entry is not None:
            assert written in (entry, entry + 1)
        loads, entries = loads + found - before, entries + written
    assert loads > 5
    assert entries > 5


# The server, and the way to it


def test_after_a_restart_the_next_call_works(own_server, monkeypatch, caplog):
    monkeypatch.setattr("bfly.databases.postgres_connections.WAIT", 1)
    database = opened(own_server.url())
    database.replace(PATH, "one", [], [random_synapses(20_000)])
    entry = database.get_by_key(SYNAPSE, PATH, 7)
    row = {"__id": 7, "n1": 1, "n2": 2, "z": 0, "y": 0, "x": 0}

    def stop_in_a_transaction(mode: str) -> None:
        with database._transaction():
            database._set("number", "1000")
            own_server.stop(mode)
            database._get("number")

    for mode in ("fast", "immediate"):
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: database.get_by_key(SYNAPSE, PATH, 7), range(100)))
        scan = database._scan(1, "link")
        next(scan)
        with pytest.raises(DatabaseError, match="PostgreSQL"):
            stop_in_a_transaction(mode)
        with pytest.raises(DatabaseError, match="PostgreSQL"):
            list(scan)
        with pytest.raises(DatabaseError, match="PostgreSQL"):
            database.get_by_key(SYNAPSE, PATH, 7)
        with pytest.raises(DatabaseError, match="PostgreSQL"):
            database.add_entry(SYNAPSE, PATH, row)
        own_server.start()
        assert database.get_by_key(SYNAPSE, PATH, 7) == entry
        assert database.add_entry(SYNAPSE, PATH, {**entry, "z": 5})["z"] == 5
        database.add_entry(SYNAPSE, PATH, entry)
        # Between two calls no client notices.
        own_server.stop(mode)
        own_server.start()
        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(lambda _: database.get_by_key(SYNAPSE, PATH, 7), range(100)))
        assert database.add_entry(SYNAPSE, PATH, entry) == entry
    assert own_server.password not in caplog.text


def test_addresses(server, monkeypatch):
    monkeypatch.setenv("PGUSER", "postgres")
    monkeypatch.setenv("PGPASSWORD", server.password)
    for address, port in [
        (f"postgresql://127.0.0.1:{server.port}", None),
        ("postgres://127.0.0.1:1/postgres", server.port),
        (f"postgresql://postgres:{quote(server.password, '')}@localhost/?port={server.port}", None),
        (f"host=localhost port={server.port} dbname=postgres", None),
        (str(server.folder), server.port),
    ]:
        database = opened(address, port)
        assert database._get("version")
        assert f"port={server.port}" in database.path
        assert server.password not in database.path
    monkeypatch.setenv("PGHOST", "127.0.0.1")
    assert opened("", server.port)._get("version")


@pytest.mark.parametrize(
    "address",
    [
        "localhost",
        "postgresql://me:h1dden/@host/name",
        "postgresql://me:h1dden@x@host/name",
        "postgresql://me:h1dden?x@host/name",
        "postgresql://me:h1dden%zz@host/name",
        "postgresql://me@host/?nonsense=h1dden",
        "mysql://me:h1dden@host/name",
        "host=db password=no h1dden",
        "password='h1dden",
        "host=db h1dden=1",
    ],
)
def test_an_address_that_is_none_stays_secret(address):
    with pytest.raises(DatabaseError, match="allowed are postgresql://") as caught:
        opened(address)
    assert "h1dden" not in "".join(traceback.format_exception(caught.value)[-1:])
    assert caught.value.__suppress_context__


def refused(address: str) -> str:
    with pytest.raises(DatabaseError) as caught:
        opened(address)
    assert conninfo_to_dict(address)["password"] not in str(caught.value)
    return str(caught.value)


def test_why_a_server_cannot_be_used(server):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        message = refused(server.url(port=nobody.getsockname()[1]))
    assert "Connection refused" in message
    assert "password authentication failed" in refused(server.url(password="Wr0ng"))
    assert 'database "nowhere" does not exist' in refused(server.url(dbname="nowhere"))


def test_who_may_make_no_schema_is_told_so(new_database):
    role, password = f"bfly_{secrets.token_hex(6)}", secrets.token_hex(6)
    with psycopg.connect(new_database, autocommit=True) as connection:
        connection.execute(f"create role {role} login password '{password}'")
        try:
            address = make_conninfo(new_database, user=role, password=password)
            assert "permission denied for database" in refused(address)
            connection.execute(f"create schema bfly authorization {role}")
            with opened(address)._transaction():
                pass
        finally:
            connection.execute(f"drop owned by {role}")
            connection.execute(f"drop role {role}")


def test_a_database_of_another_version_is_left_alone(place):
    database = opened(place)
    with database._transaction():
        database._set("version", "1000")
    assert "version 1000" in refused(place)
