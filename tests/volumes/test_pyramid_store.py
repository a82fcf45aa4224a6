from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from bfly.errors import SourceError
from bfly.geometry import indexes
from bfly.queries.data import BoxQuery
from bfly.testing.volumes import random_volume
from bfly.volumes.level import Level
from bfly.volumes.pause import Pause
from tests.fixtures.disk import small_disk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bfly.core.core import Core
    from bfly.geometry import BoundingBox
    from bfly.volumes.pyramid_store import KeptMip
    from bfly.volumes.volume import Volume

SHAPE = (17, 100, 90)

KILLS = int(os.environ.get("BFLY_TEST_KILLS", "2"))
"""How often a process that fills a store is killed."""


def opened(core: Core, path: str, **words: Any) -> BoxQuery:
    query = BoxQuery(path=path, **words)
    query.update_source(core.update_query(query))
    return query


def whole(core: Core, path: str, mip: int, **words: Any) -> np.ndarray:
    """Return a whole mip, and wait until what was computed for it is on disk."""
    query = opened(core, path, **words)
    voxels = core.find_tiles(query.part(mip, query.volume.level(mip).place))
    kept = query.volume.kept(mip)
    if kept:
        kept.flush()
    return voxels


def chunks(folder: Path) -> list[Path]:
    """Return the shards of a store."""
    return [path for path in folder.rglob("*") if path.is_file() and path.name != "zarr.json"]


@pytest.fixture
def no_computing(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let every computation of a tile fail from now on."""

    def forbid() -> None:
        def fail(*_: Any) -> None:
            raise AssertionError("a tile was computed")

        monkeypatch.setattr(Level, "read", fail)

    return forbid


@pytest.mark.parametrize(
    ("dtype", "words"),
    [
        ("uint8", {}),
        ("uint8", {"voxel_offset": (1, 3, 5), "voxel_size": (8.0, 8.0, 8.0)}),
        ("uint16", {"kind": "image", "voxel_size": (16.0, 8.0, 8.0)}),
        ("int8", {"voxel_offset": (1, 3, 5)}),
        ("int16", {"kind": "image", "voxel_size": (16.0, 8.0, 8.0)}),
        ("float32", {}),
        ("uint64", {"voxel_offset": (-1, 2, 7)}),
        ("int32", {"voxel_offset": (-1, 2, 7), "kind": "segmentation"}),
        ("uint32", {"voxel_size": (4.0, 4.0, 4.0)}),
    ],
)
@pytest.mark.parametrize("mip", [1, 2, 3])
def test_mean_and_mode_equal_another_computation_and_are_found_again(
    make_core: Callable[..., Core],
    write_channel: Callable[..., str],
    independent: Callable[..., np.ndarray],
    no_computing: Callable[[], None],
    dtype: str,
    words: dict[str, Any],
    mip: int,
) -> None:
    volume = random_volume(SHAPE, dtype)
    if dtype in ("uint32", "uint64", "int32"):
        volume %= 5  # Labels that have neighbours of their own, and zeros.
        volume -= 2 if dtype == "int32" else 0
    path = write_channel(volume)
    core = make_core()
    known = opened(core, path, **words).volume
    expected = independent(
        volume, words.get("voxel_offset", (0, 0, 0)), known.level(mip).factor, known.kind
    )
    first = whole(core, path, mip, **words)
    if dtype == "float32":
        np.testing.assert_allclose(first, expected, rtol=1e-5)
    else:
        np.testing.assert_array_equal(first, expected)
    no_computing()
    np.testing.assert_array_equal(whole(make_core(), path, mip, **words), first)


def test_zeros_are_kept_too(
    make_core: Callable[..., Core],
    write_channel: Callable[..., str],
    no_computing: Callable[[], None],
) -> None:
    path = write_channel(np.zeros(SHAPE, "u1"))
    whole(make_core(), path, 1)
    no_computing()
    assert not whole(make_core(), path, 1).any()


def test_another_process_finds_what_the_first_one_computed(
    make_core: Callable[..., Core],
    write_channel: Callable[..., str],
    store_folder: Path,
    no_computing: Callable[[], None],
) -> None:
    path = write_channel(random_volume((16, 128, 128), "uint8"))
    child = fill(path, store_folder, "all")
    child.communicate()
    assert child.returncode == 0
    no_computing()
    assert whole(make_core(), path, 1).any()


def test_what_is_written_anew_is_computed_anew(
    make_core: Callable[..., Core],
    write_channel: Callable[..., str],
    independent: Callable[..., np.ndarray],
) -> None:
    path = write_channel(random_volume(SHAPE, "uint8", 1))
    core = make_core()
    whole(core, path, 1)
    os.unlink(path)
    volume = random_volume(SHAPE, "uint8", 2)
    write_channel(volume)
    expected = independent(volume, (0, 0, 0), (1, 2, 2), "image")
    np.testing.assert_array_equal(whole(make_core(), path, 1), expected)


def test_other_kinds_sizes_and_places_are_kept_apart(
    make_core: Callable[..., Core],
    write_channel: Callable[..., str],
    independent: Callable[..., np.ndarray],
) -> None:
    volume = random_volume(SHAPE, "uint8") % 7
    path, core = write_channel(volume), make_core()
    whole(core, path, 1)
    labels = whole(core, path, 1, kind="segmentation")
    np.testing.assert_array_equal(labels, independent(volume, (0, 0, 0), (1, 2, 2), "mode"))
    moved = whole(core, path, 1, voxel_offset=(0, 1, 1))
    np.testing.assert_array_equal(moved, independent(volume, (0, 1, 1), (1, 2, 2), "image"))
    cubes = whole(core, path, 1, voxel_size=(4.0, 4.0, 4.0))
    np.testing.assert_array_equal(cubes, independent(volume, (0, 0, 0), (2, 2, 2), "image"))


def test_what_cannot_be_read_is_an_error_and_is_not_kept(
    make_core: Callable[..., Core], write_channel: Callable[..., str]
) -> None:
    volume = random_volume((8, 64, 64), "uint8")
    path = write_channel(volume)
    with h5py.File(path) as file:
        spoilt = file["main"].id.get_chunk_info(0)
    with open(path, "r+b") as file:
        file.seek(spoilt.byte_offset)
        file.write(bytes(spoilt.size))
    core = make_core()
    with pytest.raises(SourceError):
        whole(core, path, 1)
    level = opened(core, path).volume.level(1)
    kept = opened(core, path).volume.kept(1)
    assert kept
    kept.flush()
    assert (0, 0, 0) in kept.missing(level.tiles)
    assert kept.read(level.tile_box((0, 0, 0))) is None


@pytest.mark.parametrize("damage", ["a byte", "the end", "all"])
def test_damage_on_the_disk_is_noticed_and_mended(
    make_core: Callable[..., Core],
    write_channel: Callable[..., str],
    store_folder: Path,
    damage: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = write_channel(random_volume(SHAPE, "uint8"))
    expected = whole(make_core(), path, 1)
    for file in chunks(store_folder):
        data = bytearray(file.read_bytes())
        if damage == "a byte":
            data[30] ^= 255
        file.write_bytes({"a byte": data, "the end": data[:-30], "all": b""}[damage])
    np.testing.assert_array_equal(whole(make_core(), path, 1), expected)
    assert "damaged" in caplog.text
    caplog.clear()
    np.testing.assert_array_equal(whole(make_core(), path, 1), expected)
    assert caplog.text == ""


def test_a_folder_that_cannot_be_used_is_told_and_nothing_else_happens(
    make_core: Callable[..., Core],
    write_channel: Callable[..., str],
    store_folder: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store_folder.write_text("a file")
    assert whole(make_core(), write_channel(random_volume(SHAPE, "uint8")), 1).any()
    assert "not kept" in caplog.text


class Disk:
    """A file system of 2 MiB, which a file may fill."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self) -> None:
        with suppress(OSError), open(self._filler, "wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass

    def clear(self) -> None:
        self._filler.unlink()


@pytest.fixture
def disk(store_folder: Path) -> Iterator[Disk]:
    with small_disk(store_folder, 2) as folder:
        yield Disk(folder)


@pytest.fixture
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bfly.volumes.pause.FIRST", 0.3)
    monkeypatch.setattr("bfly.volumes.pause.LONGEST", 0.3)


def kept_when_tried_again(kept: KeptMip, box: BoundingBox, voxels: np.ndarray) -> bool:
    """Hand over a tile until it is kept, as clients that look again and again do."""
    for _ in range(50):
        kept.keep(box, voxels)
        kept.flush()
        if (read := kept.read(box)) is not None:
            return np.array_equal(read, voxels)
        time.sleep(0.1)
    return False


@pytest.mark.usefixtures("_short_pauses")
def test_a_disk_that_was_full_is_tried_again(
    make_core: Callable[..., Core],
    write_channel: Callable[..., str],
    disk: Disk,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    volume = opened(make_core(), write_channel(random_volume((16, 256, 256), "uint8"))).volume
    kept, box = volume.kept(1), volume.level(1).tile_box((0, 0, 0))
    assert kept is not None
    voxels = np.full(box.shape, 7, "u1")
    disk.fill()
    for attempt in range(10):
        kept.keep(box, random_volume(box.shape, "uint8"))
        kept.flush()
        # Later the pause may be over before the next attempt fails.
        assert not kept.works or attempt
        assert kept.read(box) is None
        time.sleep(0.1)
    assert caplog.text.count("not kept") == 1
    assert "No space left on device" in caplog.text
    assert not [file for file in chunks(disk.folder) if file.name != "filler"]
    disk.clear()
    assert kept_when_tried_again(kept, box, voxels)
    assert kept.works
    assert caplog.text.count("are kept in") == 1


@pytest.mark.usefixtures("_short_pauses")
def test_a_folder_that_could_not_be_used_is_tried_again(
    make_core: Callable[..., Core],
    write_channel: Callable[..., str],
    store_folder: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store_folder.write_text("a file")
    volume = opened(make_core(), write_channel(random_volume(SHAPE, "uint8"))).volume
    kept, box = volume.kept(1), volume.level(1).tile_box((0, 0, 0))
    assert kept is not None
    assert not kept.works
    assert kept.read(box) is None
    assert kept.missing(volume.level(1).tiles) == list(indexes(volume.level(1).tiles))
    time.sleep(0.5)
    assert kept.read(box) is None
    assert caplog.text.count("not kept") == 1
    store_folder.unlink()
    assert kept_when_tried_again(kept, box, np.full(box.shape, 7, "u1"))
    assert kept.works


def test_each_failure_doubles_the_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("bfly.volumes.pause.monotonic", lambda: now)
    pause = Pause()
    assert pause.over
    assert not pause.worked()
    for number, seconds in enumerate([10, 20, 40, 80, 160, 320, 600, 600]):
        assert pause.failed() == (number == 0)
        assert not pause.failed()  # of an attempt that began at the same time
        now += seconds - 1
        assert not pause.over
        now += 1
        assert pause.over
    assert pause.worked()
    assert not pause.failing
    assert pause.failed()


def test_a_whole_mip_of_one_channel_is_one_folder_with_few_files(
    make_core: Callable[..., Core], write_channel: Callable[..., str], store_folder: Path
) -> None:
    whole(make_core(), write_channel(random_volume((16, 256, 256), "uint8")), 1)
    assert len(chunks(store_folder)) == 1


# Processes


def fill(path: str, folder: Path, order: str) -> subprocess.Popen[str]:
    """Compute all tiles of mip 1 in another process; it says how many it has done."""
    code = """
import random, sys
from bfly.butterfly import runtime_of
from bfly.config.config import Config
from bfly.core.core import Core
from bfly.databases.nodb import Nodb
from bfly.geometry import indexes
from bfly.queries.data import BoxQuery

path, folder, order = sys.argv[1:]
runtime = runtime_of(Config.parse({"bfly": {"pyramid": {"folder": folder}}}, "test"))
runtime.CACHE.MAX_BLOCK.VALUE = 1 << 13
core = Core(Nodb("", runtime))
query = BoxQuery(path=path, resolution=1)
query.update_source(core.update_query(query))
level, kept = query.volume.level(1), query.volume.kept(1)
tiles = list(indexes(level.tiles))
random.Random(order).shuffle(tiles)
for number, index in enumerate(tiles):
    print(number, flush=True)
    core.find_tiles(query.part(1, level.tile_box(index).shift(level.origin)))
kept.flush()
"""
    words = [sys.executable, "-c", code, path, str(folder), order]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def tiles_that_are_kept(volume: Volume, expected: np.ndarray) -> int:
    """Count the tiles of mip 1 that are kept, after a look at their voxels."""
    level, kept = volume.level(1), volume.kept(1)
    assert kept
    count = 0
    for index in indexes(level.tiles):
        box = level.tile_box(index)
        voxels = kept.read(box)
        if voxels is not None:
            count += 1
            np.testing.assert_array_equal(voxels, expected[box.slices])
    return count


def test_processes_that_fill_one_shard_lose_nothing(
    make_core: Callable[..., Core],
    write_channel: Callable[..., str],
    independent: Callable[..., np.ndarray],
    store_folder: Path,
    no_computing: Callable[[], None],
) -> None:
    volume = random_volume((16, 128, 128), "uint8")
    path = write_channel(volume)
    children = [fill(path, store_folder, order) for order in ("a", "b", "c")]
    assert [child.communicate() and child.returncode for child in children] == [0, 0, 0]
    no_computing()
    expected = independent(volume, (0, 0, 0), (1, 2, 2), "image")
    np.testing.assert_array_equal(whole(make_core(), path, 1), expected)


def test_a_kill_at_any_moment_leaves_no_wrong_voxel(
    make_core: Callable[..., Core],
    write_channel: Callable[..., str],
    independent: Callable[..., np.ndarray],
    store_folder: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    volume = random_volume((32, 256, 256), "uint8")
    path = write_channel(volume)
    expected = independent(volume, (0, 0, 0), (1, 2, 2), "image")
    known = opened(make_core(), path).volume
    total = known.level(1).tiles.size
    moments = random.Random(KILLS)
    counts = []
    for number in range(KILLS):
        child = fill(path, store_folder, str(number))
        assert child.stdout
        last = moments.randrange(total)
        for line in child.stdout:
            if int(line) >= last:
                break
        child.send_signal(signal.SIGKILL)
        child.communicate()
        counts.append(tiles_that_are_kept(known, expected))
    assert counts == sorted(counts)  # What was kept once stays.
    print(f"of {total} tiles were kept after each kill: {counts}")
    np.testing.assert_array_equal(whole(make_core(), path, 1), expected)
    assert tiles_that_are_kept(known, expected) == total
    assert caplog.text == ""


def test_threads_that_ask_for_one_tile_compute_it_once(
    make_core: Callable[..., Core],
    write_channel: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, core = write_channel(random_volume((8, 64, 64), "uint8")), make_core(block=1 << 20)
    done, read = [], Level.read

    def counted(self: Level, *words: Any) -> Any:
        done.append(self.mip)
        return read(self, *words)

    monkeypatch.setattr(Level, "read", counted)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: whole(core, path, 1), range(16)))
    assert done.count(1) == 1
