import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from bfly.errors import NotAllowed, SourceError
from bfly.storage.files import Files, read_exactly, read_into, seen_at, stamp_of


def test_what_is_allowed(tmp_path):
    inside, beside = tmp_path / "in", tmp_path / "inside"
    inside.mkdir()
    beside.mkdir()
    (inside / "a").write_bytes(b"a")
    (beside / "b").write_bytes(b"b")
    os.symlink(beside / "b", inside / "link")
    files = Files([str(inside)])
    assert files.resolve(str(inside / "a")) == str(inside / "a")
    assert files.resolve(str(inside)) == str(inside)
    for path in (beside / "b", inside / "link", inside / ".." / "inside" / "b", tmp_path):
        with pytest.raises(NotAllowed, match="is not in allowed-paths"):
            files.resolve(str(path))
        with pytest.raises(NotAllowed):
            files.read_bytes(str(path))
        with pytest.raises(NotAllowed), files.open(str(path)):
            pass
    assert Files(["/"]).resolve(str(beside / "b")) == str(beside / "b")


def test_a_link_that_is_turned_elsewhere_is_checked_again(tmp_path):
    inside = tmp_path / "in"
    inside.mkdir()
    (inside / "a").write_bytes(b"a")
    (tmp_path / "secret").write_bytes(b"secret")
    link = inside / "link"
    os.symlink(inside / "a", link)
    files = Files([str(inside)])
    with files.open(str(link)) as (fd, _):
        assert os.pread(fd, 9, 0) == b"a"
    link.unlink()
    os.symlink(tmp_path / "secret", link)
    with pytest.raises(NotAllowed), files.open(str(link)):
        pass


def test_a_file_is_opened_once_and_again_when_it_changed(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    files = Files()
    with files.open(str(path)) as (first, stamp), files.open(str(path)) as (second, _):
        assert first == second
        assert stamp == stamp_of(str(path))
    path.write_bytes(b"newer")
    with files.open(str(path)) as (fd, again):
        assert os.pread(fd, 9, 0) == b"newer"
        assert again != stamp


def test_a_file_in_use_is_not_closed(tmp_path):
    files = Files(limit=1)
    for name in "ab":
        (tmp_path / name).write_bytes(name.encode())
    with files.open(str(tmp_path / "a")) as (fd, _):
        with files.open(str(tmp_path / "b")):
            pass
        files.close()
        assert os.pread(fd, 1, 0) == b"a"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.pread(fd, 1, 0)


def test_what_cannot_be_read(tmp_path):
    files = Files()
    with pytest.raises(SourceError, match="cannot be read: No such file"), files.open("/nowhere"):
        pass
    with pytest.raises(FileNotFoundError):
        files.read_bytes(str(tmp_path / "none"))
    with pytest.raises(SourceError, match="cannot be read: Is a directory"):
        files.read_bytes(str(tmp_path))
    assert stamp_of("/nowhere") is None


def test_reading_to_the_last_byte(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"0123456789")
    with Files().open(str(path)) as (fd, _):
        assert read_exactly(fd, 4, 6, str(path)) == b"6789"
        with pytest.raises(SourceError, match="truncated: 5 bytes are expected at 6, 4 are there"):
            read_exactly(fd, 5, 6, str(path))


def test_a_read_that_the_system_cuts_short_goes_on(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"0123456789")
    pread, preadv = os.pread, os.preadv
    monkeypatch.setattr(os, "pread", lambda fd, size, at: pread(fd, min(size, 3), at))
    monkeypatch.setattr(os, "preadv", lambda fd, to, at: preadv(fd, [to[0][:2]], at))
    with Files().open(str(path)) as (fd, _):
        assert read_exactly(fd, 8, 1, str(path)) == b"12345678"
        target = bytearray(9)
        read_into(fd, memoryview(target), 1, str(path))
        assert target == b"123456789"
        with pytest.raises(SourceError, match="truncated: 9 bytes are expected at 2, 8 are there"):
            read_exactly(fd, 9, 2, str(path))


def test_what_is_no_file_is_an_error_with_its_name(tmp_path):
    with pytest.raises(SourceError, match=f"{tmp_path} cannot be read: Is a directory"):
        Files().read_bytes(str(tmp_path))
    with pytest.raises(FileNotFoundError):
        Files().read_bytes(str(tmp_path / "none"))


def test_a_link_is_seen_as_one(tmp_path):
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_bytes(b"voxels")
    link.symlink_to(file)
    assert seen_at(str(file)) == (stamp_of(str(file)), False)
    stamp, is_link = seen_at(str(link))
    assert is_link
    assert stamp != stamp_of(str(file))
    assert seen_at("/nowhere") == (None, False)


def test_a_file_written_in_place_with_its_time_set_back_is_another(tmp_path):
    """As ``rsync --inplace -t`` writes it: size, time of modification and inode stay."""
    path = tmp_path / "a"
    path.write_bytes(b"before")
    status, stamp = path.stat(), stamp_of(str(path))
    files = Files()
    with files.open(str(path)) as (_, opened):
        assert opened == stamp
    end = time.monotonic() + 10
    while path.stat().st_ctime_ns == status.st_ctime_ns and time.monotonic() < end:
        with path.open("r+b") as file:
            file.write(b"behind")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert stamp_of(str(path)) != stamp
    with files.open(str(path)) as (_, opened):
        assert opened == stamp_of(str(path))


def test_a_file_that_hangs_does_not_hold_up_others(tmp_path, monkeypatch):
    """As one on a server that is gone: nothing waits for it but the threads that want it."""
    for name in ("hangs", "other"):
        (tmp_path / name).write_bytes(b"voxels")
    files, opened, go_on = Files(), threading.Event(), threading.Event()
    real = os.open

    def slow(path, *words, **more):
        if str(path).endswith("hangs"):
            opened.set()
            assert go_on.wait(30)
        return real(path, *words, **more)

    def read(name):
        with files.open(str(tmp_path / name)) as (fd, _):
            return os.pread(fd, 9, 0)

    monkeypatch.setattr(os, "open", slow)
    with ThreadPoolExecutor() as pool:
        hung = pool.submit(read, "hangs")
        assert opened.wait(30)
        try:
            assert pool.submit(read, "other").result(30) == b"voxels"
            assert not hung.done()
        finally:
            go_on.set()
        assert hung.result(30) == b"voxels"


def test_threads_that_open_one_file_at_once_leave_one_open(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"voxels")
    files, together = Files(), threading.Barrier(8)
    before = len(os.listdir("/proc/self/fd"))

    def read(_):
        together.wait(30)
        with files.open(str(path)) as (fd, _stamp):
            return os.pread(fd, 9, 0)

    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            assert {*pool.map(read, range(8))} == {b"voxels"}
            files.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_files_that_stay_open_are_closed_with_the_last_reference(tmp_path):
    (tmp_path / "a").write_bytes(b"a")
    before = len(os.listdir("/proc/self/fd"))
    files = Files()
    with files.open(str(tmp_path / "a")):
        pass
    assert len(os.listdir("/proc/self/fd")) == before + 1
    del files
    assert len(os.listdir("/proc/self/fd")) == before
