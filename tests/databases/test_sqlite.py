from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bfly.databases.packed.database import EVERYTHING
from bfly.databases.sqlite import Sqlite
from bfly.errors import DatabaseError
from bfly.geometry import BoundingBox
from bfly.keywords import RUNTIME
from bfly.tables.columns import concatenated, empty
from bfly.testing.databases import DatabaseSuite, random_synapses

if TYPE_CHECKING:
    from pathlib import Path

    from bfly.tables.columns import Columns

EVERYWHERE = BoundingBox((-(10**6),) * 3, (10**6,) * 3)

PRELUDE = """
import sys
import numpy as np
from bfly.databases.sqlite import Sqlite
from bfly.keywords import RUNTIME
from bfly.testing.databases import random_synapses
print("begun", flush=True)
database = Sqlite(sys.argv[1], RUNTIME())
"""

COUNT = PRELUDE + "print(database.count('synapse', 'p'), len(database.ids('neuron', 'p')))"

WRITE = (
    PRELUDE
    + """
for number in range(int(sys.argv[2]), int(sys.argv[2]) + 40):
    database.add_entry("synapse", "p", {"__id": number, "n1": 1, "n2": number})
"""
)

LOAD_FOR_EVER = (
    PRELUDE
    + """
number = int(database.fingerprint("p") or 0)
while True:
    number += 1
    rows = random_synapses(20_000, seed=number)
    database.replace("p", str(number), [], [{**rows, "n1": np.full(20_000, number, np.uint64)}])
    print(number, flush=True)
"""
)

WRITE_FOR_EVER = (
    PRELUDE
    + """
number = int(max(database.ids("synapse", "p"), default=0))
while True:
    number += 1
    database.add_entry("synapse", "p", {"__id": number, "n1": 1, "n2": number % 7, "z": number})
    print(number, flush=True)
"""
)


class TestSqlite(DatabaseSuite):
    @pytest.fixture
    def place(self, tmp_path: Path) -> str:
        return str(tmp_path / "folder" / "bfly.db")

    def open(self, place: str, runtime: RUNTIME) -> Sqlite:
        return Sqlite(place, runtime)


@pytest.fixture
def place(tmp_path: Path) -> str:
    return str(tmp_path / "bfly.db")


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def output(script: str, *arguments: object) -> str:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60, check=True).stdout


KILLS = int(os.environ.get("BFLY_TEST_KILLS", "5"))


def killed(script: str, place: str, delay: float) -> int | None:
    """Kill a program that writes for ever; gives the last number that it acknowledged, if any."""
    with start(script, place) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        time.sleep(delay)
        process.kill()
        said = process.stdout.read().split("\n")[:-1]
    return int(said[-1]) if said else None


class Paused(Sqlite):
    """Stops in the midst of a load until it is told to go on."""

    def __init__(self, place: str) -> None:
        super().__init__(place, RUNTIME())
        self.writing, self.go_on = threading.Event(), threading.Event()

    def _drop(self, number: int) -> None:
        self.writing.set()
        assert self.go_on.wait(60)
        super()._drop(number)


def test_another_process_reads_the_old_state_while_one_writes(place):
    database = Paused(place)
    database.replace("p", "1", [], [random_synapses(10, neurons=2)])
    rows = [random_synapses(20_000)]
    writer = threading.Thread(target=database.replace, args=("p", "2", [], rows))
    writer.start()
    assert database.writing.wait(60)
    try:
        assert output(COUNT, place) == "begun\n10 2\n"
        assert len(database.ids("synapse", "p")) == 10
    finally:
        database.go_on.set()
        writer.join()
    assert output(COUNT, place).startswith("begun\n20000 ")
    assert len(database.ids("synapse", "p")) == 20_000


def test_what_another_process_loads_is_seen(place):
    database = Sqlite(place, RUNTIME())
    database.replace("p", "1", [], [random_synapses(10)])
    assert len(database.synapses_in("p", EVERYWHERE)["z"]) == 10
    Sqlite(place, RUNTIME()).replace("p", "2", [], [random_synapses(500)])
    assert len(database.synapses_in("p", EVERYWHERE)["z"]) == 500


def test_writers_of_several_processes_take_turns(place):
    writers = [start(WRITE, place, first) for first in (0, 100, 200)]
    for writer in writers:
        writer.communicate(timeout=60)
        assert writer.returncode == 0
    ids = Sqlite(place, RUNTIME()).ids("synapse", "p")
    assert ids.tolist() == [first + i for first in (0, 100, 200) for i in range(40)]


class Divided(Sqlite):
    """Of which a pack is divided while it is scanned, between two pages."""

    more: Columns | None = None

    def _scan(self, number, kind, ranges=EVERYTHING):
        for place, pack in enumerate(super()._scan(number, kind, ranges)):
            yield pack
            if place == 1 and self.more is not None:
                more, self.more = self.more, None
                self.upsert("synapse", "p", more)


@pytest.mark.parametrize("box", [None, EVERYWHERE])
@pytest.mark.parametrize("neuron", [None, 7])
def test_a_pack_that_is_divided_in_the_midst_of_a_scan_gives_its_rows_once(
    place, monkeypatch, box, neuron
):
    monkeypatch.setattr("bfly.databases.sqlite.PAGE_OF_PACKS", 2)
    database = Divided(place, RUNTIME())
    line = {name: np.full(50_000, 7, np.uint64) for name in ("n1", "n2")}
    line |= {"__id": np.arange(50_000, dtype=np.uint64), "z": np.arange(50_000)}
    line |= {name: np.zeros(50_000, np.int64) for name in "yx"}
    old = {name: column[::10] for name, column in line.items()}
    database.replace("p", "f", [], [old])
    number = database._look_up("p").number
    kind = "link" if neuron is not None else "synapse" if box is None else "place"
    packs = len(list(Sqlite._scan(database, number, kind)))
    new = np.arange(50_000) % 10 > 0
    database.more = {name: column[new][:19_000] for name, column in line.items()}
    found = concatenated("synapse", database.scan("p", box, neuron))
    assert database.more is None
    assert len(list(Sqlite._scan(database, number, kind))) > packs
    ids, counts = np.unique(found["__id"], return_counts=True)
    assert set(old["__id"].tolist()) <= set(ids.tolist())
    assert counts.max() == 1


def test_a_load_that_is_killed_leaves_a_whole_one(place):
    number = 0
    for _ in range(KILLS):
        done = killed(LOAD_FOR_EVER, place, random.uniform(0, 0.5)) or number
        database = Sqlite(place, RUNTIME())
        number = int(database.fingerprint("p") or 0)
        assert number in (done, done + 1)
        rows = {**random_synapses(20_000, seed=number), "n1": np.full(20_000, number, np.uint64)}
        if number == 0:
            rows = empty("synapse")
        for found in (
            database.rows("synapse", "p", rows["__id"]),
            database.synapses_in("p", EVERYWHERE),
            database.synapses_of("p", number),
        ):
            assert all(np.array_equal(found[name], rows[name]) for name in rows)
        database.close()
    assert number > 0


def test_what_was_written_survives_a_kill(place):
    ids: list[int] = []
    for _ in range(KILLS):
        done = killed(WRITE_FOR_EVER, place, random.uniform(0, 0.5)) or len(ids)
        database = Sqlite(place, RUNTIME())
        ids = database.ids("synapse", "p").tolist()
        assert ids in (list(range(1, done + 1)), list(range(1, done + 2)))
        assert database.synapses_in("p", EVERYWHERE)["__id"].tolist() == ids
        assert database.synapses_of("p", 1)["__id"].tolist() == ids
        assert database.count("synapse", "p") == len(ids)
        database.close()
    assert ids


def test_temporary_files_and_the_log_are_gone(place, tmp_path):
    database = Sqlite(place, RUNTIME())
    database.replace("p", "1", [], [random_synapses(50_000)])
    assert (tmp_path / "bfly.db-wal").stat().st_size == 0
    database.close()
    assert [file.name for file in tmp_path.iterdir()] == ["bfly.db"]


def test_closed_it_opens_again(place):
    database = Sqlite(place, RUNTIME())
    database.add_path("a", "b")
    database.close()
    assert Sqlite(place, RUNTIME()).get_path("a") == "b"
    assert database.count("synapse", "b") == 0


def test_files_that_are_no_database_of_ours(tmp_path):
    text, other = tmp_path / "notes.txt", tmp_path / "other.db"
    text.write_text("no database " * 1000)
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE theirs (a)")
    connection.close()
    for place, words in (
        (text, "notes.txt: file is not a database"),
        (other, "other.db is a SQLite database of another program"),
        (tmp_path, "unable to open database file"),
        (text / "bfly.db", "The folder of .* cannot be made"),
    ):
        before = place.read_bytes() if place.is_file() else b""
        with pytest.raises(DatabaseError, match=words):
            Sqlite(str(place), RUNTIME())
        assert not before or place.read_bytes() == before


def test_a_damaged_file_is_said_so(place, tmp_path):
    database = Sqlite(place, RUNTIME())
    database.replace("p", "1", [], [random_synapses(5000)])
    database.close()
    with open(place, "r+b") as file:
        file.seek(3 * 8192)
        file.write(b"\xff" * 100 * 8192)
    with pytest.raises(DatabaseError, match=r"bfly\.db: .*malformed"):
        database.synapses_in("p", EVERYWHERE)
