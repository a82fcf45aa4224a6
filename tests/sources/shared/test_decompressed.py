import bz2
import gc
import gzip
import os
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from bfly.concurrency.admission import Abandoned, Ticket, check_wanted
from bfly.errors import Busy, SourceError
from bfly.sources.shared import decompressed as unpacked
from bfly.sources.shared.decompressed import Unpacked, packing_of
from bfly.storage.files import Files

DATA = {name: os.urandom(1000) * 3000 for name in ("a", "b", "c")}
SIZE = 3_000_000


@pytest.fixture
def files(tmp_path):
    for name, data in DATA.items():
        (tmp_path / name).write_bytes(b"head" + gzip.compress(data, 1))
    return tmp_path


@pytest.fixture
def made(monkeypatch):
    """The paths that were unpacked, in order."""
    paths = []
    unpacking = unpacked.unpacking

    def noted(file, packing):
        paths.append(os.path.basename(os.path.realpath(file.name)))
        return unpacking(file, packing)

    monkeypatch.setattr(unpacked, "unpacking", noted)
    return paths


def read(temporary, path, size=SIZE, packing="gzip"):
    with (
        Files().open(str(path)) as (fd, stamp),
        temporary.open(str(path), fd, stamp, 4, packing, size) as plain,
    ):
        return os.pread(plain, size + 1, 0)


def test_each_is_unpacked_once(files, made):
    temporary = Unpacked()
    with ThreadPoolExecutor(8) as pool:
        wanted = list("abc" * 8)
        found = pool.map(lambda name: read(temporary, files / name), wanted)
        assert list(found) == [DATA[name] for name in wanted]
    assert sorted(made) == ["a", "b", "c"]


def test_few_files_are_kept_open(files, made, monkeypatch):
    monkeypatch.setattr(unpacked, "FILES", 2)
    temporary = Unpacked()
    for name in "abcba":
        assert read(temporary, files / name) == DATA[name]
    assert made == ["a", "b", "c", "a"]


def test_what_was_not_read_for_longest_goes_first(files, made):
    temporary = Unpacked(limit=2 * SIZE)
    for name in "abacab":
        assert read(temporary, files / name) == DATA[name]
    assert made == ["a", "b", "c", "b"]


def test_one_that_is_being_read_stays(files):
    temporary = Unpacked(limit=SIZE)
    with (
        Files().open(str(files / "a")) as (fd, stamp),
        temporary.open(str(files / "a"), fd, stamp, 4, "gzip", SIZE) as plain,
    ):
        read(temporary, files / "b")
        gc.collect()
        assert os.pread(plain, SIZE, 0) == DATA["a"]


def test_a_changed_file_is_unpacked_anew(files, made):
    temporary = Unpacked()
    read(temporary, files / "a")
    (files / "a").write_bytes(b"head" + gzip.compress(DATA["b"] + b"more"))
    assert read(temporary, files / "a") == DATA["b"]
    assert made == ["a", "a"]


def test_nothing_is_left_in_the_folder(files, tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    temporary = Unpacked()
    read(temporary, files / "a")
    assert list(folder.iterdir()) == []


def test_one_that_is_too_large(files, made):
    with pytest.raises(SourceError, match=r"a holds 3000000 bytes in one piece of gzip.*up to 99 "):
        read(Unpacked(limit=99), files / "a")
    assert made == []


def test_several_are_unpacked_at_once_as_far_as_they_fit(files, monkeypatch):
    temporary, both = Unpacked(limit=2 * SIZE), threading.Barrier(3, timeout=20)
    unpacking = unpacked.unpacking

    def slow(file, packing):
        both.wait()
        both.wait()
        return unpacking(file, packing)

    monkeypatch.setattr(unpacked, "unpacking", slow)
    with ThreadPoolExecutor(2) as pool:
        found = [pool.submit(read, temporary, files / name) for name in "ab"]
        both.wait()
        with pytest.raises(Busy, match=r"c has 3000000 bytes .* 6000000 are being written"):
            read(temporary, files / "c")
        both.wait()
        assert [each.result(20) for each in found] == [DATA["a"], DATA["b"]]
    monkeypatch.undo()
    assert read(temporary, files / "c") == DATA["c"]


def test_nothing_is_unpacked_for_a_client_that_is_gone(files, tmp_path, monkeypatch):
    ticket, wanted = Ticket(), []

    def check():
        wanted.append(1)
        ticket.abandoned = len(wanted) > 1
        check_wanted()

    monkeypatch.setattr(unpacked, "PIECE", 1000)
    monkeypatch.setattr(unpacked, "check_wanted", check)
    with pytest.raises(Abandoned):
        ticket.run(read, Unpacked(), files / "a")
    assert len(wanted) == 2


def test_a_full_disk(files, monkeypatch):
    def full(*args, **keywords):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(SourceError, match=r"a cannot be unpacked into .*: No space left on device"):
        read(Unpacked(), files / "a")


def test_damage(files):
    whole = (files / "a").read_bytes()
    for data in (whole[: len(whole) // 2], whole[:-9], whole[:-6] + b"xx" + whole[-4:]):
        (files / "a").write_bytes(data)
        with pytest.raises(SourceError, match=r"/a "):
            read(Unpacked(), files / "a")
    (files / "a").write_bytes(whole)
    with pytest.raises(SourceError, match=r"a is truncated: 3000001 bytes are expected in it, 30"):
        read(Unpacked(), files / "a", SIZE + 1)


def test_bzip2(files):
    (files / "a").write_bytes(b"head" + bz2.compress(DATA["a"]))
    assert read(Unpacked(), files / "a", packing="bzip2") == DATA["a"]


def test_packings():
    assert packing_of(gzip.compress(b"")) == "gzip"
    assert packing_of(bz2.compress(b"")) == "bzip2"
    assert packing_of(b"NRRD") is None
