from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from bfly.storage.bounded_folder import LOOKS, Bound

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = 1 << 16


def write(folder: Path, number: int) -> Path:
    """Write a chunk that was last used so many seconds after the first."""
    path = folder / "aa" / "c" / "0" / str(number)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(BLOCK))
    os.utime(path, (1_000_000 + number, 1_000_000))
    return path


def test_what_was_not_used_for_longest_goes(tmp_path: Path) -> None:
    chunks = [write(tmp_path, number) for number in range(10)]
    metadata = tmp_path / "aa" / "zarr.json"
    metadata.write_text("{}")
    os.utime(metadata, (1, 1))
    Bound(str(tmp_path), 5 * BLOCK, below="c").trim()
    assert [path.exists() for path in chunks] == [False] * 6 + [True] * 4
    assert metadata.exists()


def test_nothing_goes_below_the_size(tmp_path: Path) -> None:
    chunks = [write(tmp_path, number) for number in range(4)]
    Bound(str(tmp_path), 5 * BLOCK, below="c").trim()
    assert all(path.exists() for path in chunks)


def test_the_folder_is_looked_at_first_and_then_after_a_part_of_the_size(tmp_path: Path) -> None:
    bound = Bound(str(tmp_path), LOOKS * BLOCK, below="c")
    many = [write(tmp_path, number) for number in range(2 * LOOKS)]
    bound.add(1)
    assert sum(path.exists() for path in many) < LOOKS
    more = [write(tmp_path, number) for number in range(2 * LOOKS)]
    bound.add(BLOCK // 2)
    assert all(path.exists() for path in more)
    bound.add(BLOCK)
    assert sum(path.exists() for path in more) < LOOKS


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    Bound(str(tmp_path / "none"), BLOCK).trim()


def test_one_process_at_a_time_removes(tmp_path: Path) -> None:
    chunks = [write(tmp_path, number) for number in range(10)]
    lock = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    Bound(str(tmp_path), BLOCK).trim()
    assert all(path.exists() for path in chunks)
    os.close(lock)
    Bound(str(tmp_path), BLOCK).trim()
    assert not any(path.exists() for path in chunks)
