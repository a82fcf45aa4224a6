import os
import subprocess
import sys
from pathlib import Path

from bfly.storage.disk_cache import DiskCache


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.name != "lock"]


def test_what_is_kept_is_found_by_another(tmp_path: Path) -> None:
    DiskCache(str(tmp_path), 1000).set("a", b"one")
    assert DiskCache(str(tmp_path), 1000).get("a") == b"one"
    assert DiskCache(str(tmp_path), 1000).get("b") is None


def test_damage_is_absence(tmp_path: Path) -> None:
    cache = DiskCache(str(tmp_path), 1000)
    cache.set("a", b"one" * 20)
    (path,) = files(tmp_path)
    whole = path.read_bytes()
    for damaged in (b"", whole[:5], whole[:-1], whole + b"x", whole[:-1] + b"x"):
        path.write_bytes(damaged)
        assert cache.get("a") is None
    cache.set("a", b"two")
    assert cache.get("a") == b"two"


def test_what_was_read_longest_ago_goes_first(tmp_path: Path) -> None:
    cache = DiskCache(str(tmp_path), 10_000)
    for number in range(8):
        cache.set(f"{number}", bytes(1000))
    for age, path in enumerate(sorted(files(tmp_path))):
        os.utime(path, (age, age))
    assert cache.get("3") == bytes(1000)
    for number in range(8, 14):
        cache.set(f"{number}", bytes(1000))
    assert sum(path.stat().st_size for path in files(tmp_path)) <= 10_000 * 17 / 16
    assert cache.get("13") == bytes(1000)
    assert cache.get("3") == bytes(1000)


WRITER = """
import sys
from bfly.storage.disk_cache import DiskCache
cache = DiskCache(sys.argv[1], 200_000)
for number in range(300):
    name = str(number % 60)
    cache.set(name, name.encode() * 3000)
    found = cache.get(str(number * 7 % 60))
    assert found is None or found == str(number * 7 % 60).encode() * 3000
"""


def test_several_processes_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    running = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]


def test_a_disk_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = DiskCache(str(tmp_path / "file"), 1000)
    cache.set("a", b"one")
    assert cache.get("a") is None
