"""A database file that is deleted, replaced or cut while it is open: no edit is acknowledged."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import pytest

from bfly.databases.sqlite import Sqlite
from bfly.edits.channel import ChannelEdits
from bfly.errors import Busy, DatabaseError
from bfly.keywords import RUNTIME
from bfly.testing.databases import PATH, SYNAPSE, random_synapses
from bfly.testing.edits import operation
from tests.fixtures.disk import small_disk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ROW = {"__id": 7, "n1": 1, "n2": 2, "z": 0, "y": 0, "x": 0}


class Opened:
    """A database with an edit; tests change its file."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.database = Sqlite(str(file), RUNTIME())
        self.database.replace(PATH, "one", [], [random_synapses(20_000)])
        self.log = self.database.edit_log()
        self.edits = ChannelEdits("c", self.log)
        self.edit()

    def edit(self) -> None:
        self.edits.append(lambda state: [operation(state.position + 1)])

    def load(self) -> None:
        self.database.replace(PATH, "two", [], [random_synapses(100)])

    def add(self) -> None:
        self.database.add_entry(SYNAPSE, PATH, ROW)

    def refuses(self, words: str) -> None:
        """Expect that nothing is acknowledged, and that all say why."""
        before = self.edits.state.position
        for write in (self.edit, self.load, self.add):
            with pytest.raises(DatabaseError, match=words):
                write()
        assert self.edits.state.position == before


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    (tmp_path / "folder").mkdir()
    return Opened(tmp_path / "folder" / "bfly.db")


def beside(file: Path, ending: str) -> Path:
    return file.with_name(file.name + ending)


def deleted(file: Path) -> None:
    file.unlink()


def all_deleted(file: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        beside(file, ending).unlink()


def moved(file: Path) -> None:
    file.rename(file.with_name("other.db"))


def folder_moved(file: Path) -> None:
    file.parent.rename(file.parent.with_name("elsewhere"))


def replaced(file: Path) -> None:
    """Put a copy in its place in one step, as rsync and restores do."""
    copy = file.with_name("copy.db")
    shutil.copy(file, copy)
    copy.rename(file)


def made_anew(file: Path) -> None:
    """Delete it and let another Butterfly make a new one, with an edit."""
    all_deleted(file)
    Opened(file)


def log_deleted(file: Path) -> None:
    beside(file, "-wal").unlink()


def index_deleted(file: Path) -> None:
    beside(file, "-shm").unlink()


def log_replaced(file: Path) -> None:
    beside(file, "-wal").unlink()
    beside(file, "-wal").write_bytes(b"")


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


CHANGES: list[tuple[Callable[[Path], None], str]] = [
    (deleted, r"bfly\.db is gone \(No such file"),
    (all_deleted, r"bfly\.db is gone \(No such file"),
    (moved, r"bfly\.db is gone \(No such file"),
    (folder_moved, r"bfly\.db is gone \(No such file|No temporary file can be made in .*folder"),
    (replaced, r"bfly\.db was replaced"),
    (made_anew, r"bfly\.db was replaced"),
    (log_deleted, r"bfly\.db-wal was deleted"),
    (index_deleted, r"bfly\.db-shm was deleted"),
    (log_replaced, r"bfly\.db-wal was replaced"),
    (cut, r"bfly\.db was cut from \d+ to \d+ bytes"),
]


@pytest.mark.parametrize(
    ("change", "words"), CHANGES, ids=lambda value: getattr(value, "__name__", "")
)
def test_nothing_is_acknowledged_into_a_file_that_is_not_there(opened, change, words) -> None:
    change(opened.file)
    opened.refuses(words)
    opened.refuses("End Butterfly|No temporary file")


@pytest.mark.parametrize("change", [deleted, replaced, log_deleted, cut])
def test_a_change_in_the_midst_of_an_edit_is_seen_before_it_is_acknowledged(opened, change) -> None:
    def operations(state):
        change(opened.file)
        return [operation(state.position + 1)]

    with pytest.raises(DatabaseError, match=r"bfly\.db"):
        opened.edits.append(operations)
    assert opened.edits.state.position == 1


def test_a_change_while_it_is_committed_is_seen_too(opened, monkeypatch) -> None:
    file, looks = opened.log._file, []
    look = file.check

    def counted() -> None:
        looks.append(1)
        if len(looks) == last:
            replaced(opened.file)
        look()

    monkeypatch.setattr(file, "check", counted)
    last = 0
    opened.edit()
    last = len(looks)
    looks.clear()
    with pytest.raises(DatabaseError, match="was replaced"):
        opened.edit()
    # An edit that only a file has that is gone is not served either.
    with pytest.raises(DatabaseError, match="was replaced"):
        opened.edits.catch_up()
    assert opened.edits.state.position == 2


def test_put_back_it_is_written_to_again(opened) -> None:
    moved(opened.file)
    opened.refuses("is gone")
    opened.file.with_name("other.db").rename(opened.file)
    opened.edit()
    opened.load()
    opened.add()
    assert [o.id for o in Sqlite(str(opened.file), RUNTIME()).edit_log().read("c")] == [1, 2]


def test_a_file_that_is_gone_is_not_made_anew_by_a_new_connection(opened) -> None:
    deleted(opened.file)
    for file in (opened.database._file, opened.log._file):
        with ExitStack() as taken:

            def take_more(file=file, taken=taken) -> None:
                for _ in range(10):
                    taken.enter_context(file.connected())

            with pytest.raises(DatabaseError, match="unable to open"):
                take_more()
    assert not opened.file.exists()


def test_who_listens_is_told_that_the_file_is_gone(opened) -> None:
    opened.log.wait(0.1)
    opened.log.wait(0.1)
    replaced(opened.file)
    with pytest.raises(DatabaseError, match="was replaced"):
        opened.log.wait(5)
    opened.log.close()


def test_files_of_the_log_that_come_and_go_as_usual_are_no_change(tmp_path: Path) -> None:
    file = tmp_path / "bfly.db"
    for _ in range(3):
        opened = Opened(file)
        others = [Sqlite(str(file), RUNTIME()) for _ in range(3)]
        for number, other in enumerate(others):
            other.replace(f"p{number}", "f", [], [random_synapses(30_000)])
            other.close()
            opened.edit()
        opened.database.close()
        opened.add()
        opened.edit()
        del opened, others, other


def test_a_link_to_the_file_counts_as_the_file(tmp_path: Path) -> None:
    file, link = tmp_path / "real" / "x.db", tmp_path / "bfly.db"
    file.parent.mkdir()
    Sqlite(str(file), RUNTIME())
    link.symlink_to(file)
    opened = Opened(link)
    opened.add()
    link.unlink()
    link.symlink_to(tmp_path / "none.db")
    opened.refuses("is gone")


def test_an_edit_waits_for_a_load_only_so_long(opened, monkeypatch) -> None:
    monkeypatch.setattr("bfly.databases.sqlite_statements.PATIENCE", 1)
    edits = ChannelEdits("c", opened.database.edit_log())
    begun = time.monotonic()
    with (
        opened.database._transaction(),
        ThreadPoolExecutor(1) as other,
        pytest.raises(DatabaseError, match="another writer has not been done for 1 s"),
    ):
        other.submit(edits.append, lambda _: [operation(2)]).result()
    assert time.monotonic() - begun < 15
    edits.append(lambda _: [operation(2)])


def test_a_reader_that_stalls_keeps_no_snapshot(opened) -> None:
    scans = [opened.database.scan(PATH) for _ in range(20)]
    reads = [opened.log.read("c") for _ in range(20)]
    for scan in scans:
        next(scan)
        next(scan)
    for read in reads:
        next(read)
    for _ in range(3):
        opened.load()
    # The log could not be cut if any reader needed what is in it.
    with sqlite3.connect(opened.file, timeout=0.1) as other:
        busy, _, _ = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    other.close()
    assert busy == 0
    assert beside(opened.file, "-wal").stat().st_size == 0
    for iterator in (*scans, *reads):
        iterator.close()


FULL = """
import resource, signal, sys
from bfly.databases.sqlite import Sqlite
from bfly.edits.channel import ChannelEdits
from bfly.errors import DatabaseError
from bfly.keywords import RUNTIME
from bfly.testing.edits import operation
edits = ChannelEdits("c", Sqlite(sys.argv[1], RUNTIME()).edit_log())
print("begun", flush=True)
while edits.state.position < 100_000:
    try:
        edits.append(lambda state: [operation(state.position + 1, who="x" * 100_000)])
    except DatabaseError as error:
        print(edits.state.position, error)
        break
sys.stdin.readline()
try:
    edits.append(lambda state: [operation(state.position + 1)])
    print("again")
except DatabaseError as error:
    print(error)
"""


def run(script: str, file: Path, limit: int | None = None) -> subprocess.Popen[str]:
    def limited() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.Popen(
        [sys.executable, "-c", script, str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=limited,
    )


def ids_in(file: Path) -> list[int]:
    return [found.id for found in Sqlite(str(file), RUNTIME()).edit_log().read("c")]


def test_a_file_that_may_not_grow_takes_no_edit_and_loses_none(tmp_path: Path) -> None:
    file = tmp_path / "bfly.db"
    with run(FULL, file, 3 << 20) as process:
        said, _ = process.communicate("\n", timeout=60)
    number = int(said.split("\n")[1].split()[0])
    assert str(file) in said
    assert number > 5
    assert ids_in(file) in ([*range(1, number + 1)], [*range(1, number + 2)])


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MiB."""
    with small_disk(tmp_path / "disk", 16) as folder:
        yield folder


def test_a_disk_that_is_full_takes_no_edit_and_goes_on_when_there_is_room(disk: Path) -> None:
    file, filler = disk / "bfly.db", disk / "filler"
    filler.write_bytes(bytes(12 << 20))
    with run(FULL, file) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        said = process.stdout.readline()
        number = int(said.split()[0])
        assert "disk" in said
        filler.unlink()
        rest, _ = process.communicate("\n", timeout=60)
    assert rest == "again\n"
    assert ids_in(file) == list(range(1, number + 2))


def test_another_file_system_on_its_place_takes_no_edit(disk: Path, tmp_path: Path) -> None:
    opened = Opened(disk / "bfly.db")
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(disk)], check=True)
    try:
        opened.refuses(r"bfly\.db is gone")
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
    opened.edit()


def test_without_free_files_it_says_so(tmp_path: Path) -> None:
    opened = Opened(tmp_path / "bfly.db")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        with suppress(OSError):
            while len(held) < 256:
                held.append(os.open(os.devnull, os.O_RDONLY))
        with pytest.raises(Busy, match="Too many open files"), opened.log._file.errors():
            opened.log._file.new()
    finally:
        for number in held:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    opened.edit()


CUT = """
import os, sys
from bfly.databases.sqlite import Sqlite
from bfly.edits.channel import ChannelEdits
from bfly.errors import DatabaseError
from bfly.keywords import RUNTIME
from bfly.testing.edits import operation
database = Sqlite(sys.argv[1], RUNTIME())
edits = ChannelEdits("c", database.edit_log())
for _ in range(200):
    edits.append(lambda state: [operation(state.position + 1, who="x" * 50_000)])
os.truncate(sys.argv[1], 8192)
def edit():
    edits.append(lambda state: [operation(state.position + 1)])
for call in (edit, lambda: list(edits.operations()), edits.catch_up):
    try:
        call()
        print("done")
    except DatabaseError as error:
        print("error")
"""


def test_a_file_that_is_cut_is_an_error_of_edits_and_no_end_of_the_process(tmp_path: Path) -> None:
    with run(CUT, tmp_path / "bfly.db") as process:
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert said == "error\n" * 3


def test_many_threads_look_at_a_file_that_grows(tmp_path: Path) -> None:
    opened = Opened(tmp_path / "bfly.db")
    until = threading.Event()

    def look() -> None:
        while not until.is_set():
            opened.log._file.check()

    with ThreadPoolExecutor(5) as pool:
        looks = [pool.submit(look) for _ in range(4)]
        for number in range(5):
            opened.database.replace(f"p{number}", "f", [], [random_synapses(20_000)])
            opened.edit()
        until.set()
        for done in looks:
            done.result()
