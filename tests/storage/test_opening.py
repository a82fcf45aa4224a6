import os
import resource
import socket
import subprocess
import sys

import pytest

from bfly.errors import Busy, NotAllowed, SourceError
from bfly.storage import opening
from bfly.storage.files import Files, regular, stamp_of
from bfly.storage.opening import open_folder, open_regular, trail_of


@pytest.fixture(params=["/proc", "step by step"], autouse=True)
def way(request, monkeypatch):
    """Files are opened with what Linux says of open files, and without."""
    monkeypatch.setattr(opening, "HAS_PROC", request.param == "/proc")


def make_special(kind, path):
    match kind:
        case "a FIFO":
            os.mkfifo(path)
        case "a socket":
            with socket.socket(socket.AF_UNIX) as listener:
                os.chdir(path.parent)
                listener.bind(path.name)
        case "a device":
            path.symlink_to("/dev/tty")


@pytest.mark.parametrize("kind", ["a FIFO", "a socket", "a device"])
def test_what_is_no_regular_file_is_named_and_holds_nothing_up(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "info"
    make_special(kind, path)
    for read in (Files().read_bytes, Files().file, lambda p: Files().open(p).__enter__()):
        with pytest.raises(SourceError, match=f"info cannot be read: it is {kind}, not a regular"):
            read(str(path))
    with pytest.raises(OSError, match="not a regular file"):
        regular(str(path))
    with pytest.raises(NotADirectoryError):
        open_folder(str(path))


def test_the_place_of_what_was_opened_is_checked(tmp_path):
    real = tmp_path / "real"
    real.write_bytes(b"voxels")
    (tmp_path / "link").symlink_to(real)
    seen = []
    fd = open_regular(str(tmp_path / "link"), seen.append)
    assert os.pread(fd, 9, 0) == b"voxels"
    os.close(fd)
    fd = open_folder(f"{tmp_path}/../{tmp_path.name}", seen.append)
    assert os.listdir(fd) == os.listdir(tmp_path)
    os.close(fd)
    assert seen == [str(real), str(tmp_path)]


@pytest.mark.parametrize("name", ["a (deleted)", "a\nb", "a%2e", "a\\b", " a ", "..."])
def test_odd_names_are_names(tmp_path, name):
    (tmp_path / name).write_bytes(b"voxels")
    assert Files([str(tmp_path)]).read_bytes(str(tmp_path / name)) == b"voxels"


@pytest.mark.parametrize("name", ["a\0b", "\0", "a\udc80\0"])
def test_names_that_no_file_can_have(tmp_path, name):
    path = f"{tmp_path}/{name}"
    with pytest.raises(SourceError, match="no file can have this name"):
        Files().read_bytes(path)
    with pytest.raises(NotAllowed):
        Files([str(tmp_path)]).read_bytes(path)
    assert stamp_of(path) is None


def test_whether_a_file_is_there_is_not_told_of_what_is_not_allowed(tmp_path):
    files = Files([str(tmp_path / "allowed")])
    (tmp_path / "allowed").mkdir()
    (tmp_path / "there").write_bytes(b"")
    for name in ("there", "not there", "there/not a folder"):
        with pytest.raises(NotAllowed):
            files.read_bytes(f"{tmp_path}/allowed/../{name}")
        link = tmp_path / "allowed" / "link"
        link.unlink(missing_ok=True)
        link.symlink_to(tmp_path / name)
        with pytest.raises(NotAllowed):
            files.read_bytes(str(link))


def test_the_way_to_a_file(tmp_path):
    top = os.path.realpath(tmp_path)
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    (tmp_path / "b" / "file").write_bytes(b"")
    (tmp_path / "a" / "link").symlink_to("../b")
    (tmp_path / "c" / "file").symlink_to(f"{top}/a/link/file")
    real, folders = trail_of(f"{top}/c/./file")
    assert real == os.path.realpath(f"{top}/c/file") == f"{top}/b/file"
    assert {top, f"{top}/a", f"{top}/b", f"{top}/c"} < {*folders}
    real, folders = Files([f"{top}/b", top]).trail(f"{top}/c/file")
    assert {*folders} == {top, f"{top}/a", f"{top}/b", f"{top}/c"}
    with pytest.raises(NotAllowed):
        Files([f"{top}/c"]).trail(f"{top}/c/file")
    (tmp_path / "circle").symlink_to("circle")
    assert trail_of(f"{top}/circle/x")[0] == f"{top}/circle/x"
    with pytest.raises(SourceError, match="circle cannot be read"):
        Files().read_bytes(f"{top}/circle")
    for path in ("a/link/../c", ".", "b/../nowhere/../a"):
        assert trail_of(f"{top}/{path}")[0] == os.path.realpath(f"{top}/{path}")


def test_idle_files_are_let_go_of_when_descriptors_run_out(tmp_path):
    """And if there is none even then, that is what is said."""
    files = Files(limit=20)
    for i in range(21):
        (tmp_path / str(i)).write_bytes(b"voxels")
    for i in range(20):
        with files.open(str(tmp_path / str(i))):
            pass
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = []
    try:
        highest = max(map(int, os.listdir("/proc/self/fd")))
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 8, limits[1]))
        while True:
            try:
                taken.append(os.open("/", os.O_RDONLY))
            except OSError:
                break
        assert files.read_bytes(str(tmp_path / "20")) == b"voxels"
        while True:
            try:
                taken.append(os.open("/", os.O_RDONLY))
            except OSError:
                break
        with pytest.raises(Busy, match=r"20 cannot be opened now: EMFILE, Too many open files"):
            files.read_bytes(str(tmp_path / "20"))
        with pytest.raises(Busy, match="EMFILE"):
            regular(str(tmp_path / "20"))
    finally:
        for fd in taken:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert files.read_bytes(str(tmp_path / "20")) == b"voxels"


def test_how_many_files_stay_open_depends_on_the_limit_of_the_process():
    def limit(descriptors):
        code = "from bfly.storage.files import Files; print(Files().limit)"
        command = f"ulimit -n {descriptors}; exec {sys.executable} -c '{code}'"
        return int(subprocess.check_output(["sh", "-c", command], text=True))

    assert limit(200) == 50
    assert limit(4096) == 256
    assert Files(limit=3).limit == 3
