"""``bfly index``: the label index of a channel, on Dask, through interruptions."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from bfly.cli import main
from bfly.segments.background import BackgroundIndexes, Unfinished
from bfly.segments.index import ABOUT, Index
from bfly.segments.store import Indexes
from bfly.volumes.channel import ChannelSpec
from bfly.volumes.volume import Volume

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (130, 300, 300)


@pytest.fixture(scope="module")
def voxels() -> np.ndarray:
    blocks = np.random.default_rng(0).integers(0, 900, (33, 75, 75)).astype("u4")
    return blocks.repeat(4, 0).repeat(4, 1).repeat(4, 2)[: SHAPE[0]]


def stored(path: Path, voxels: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("main", data=voxels, chunks=(16, 64, 64), compression="lzf")


@pytest.fixture
def config(tmp_path: Path, voxels: np.ndarray) -> Path:
    data = tmp_path / "data"
    data.mkdir()
    for name, values in (("seg", voxels), ("em", voxels[:16].astype("f4"))):
        stored(data / f"{name}.h5", values)
    path = tmp_path / "config.yaml"
    main([str(data), "-o", str(path)])
    path.write_text(f"{path.read_text()}  pyramid: {{folder: {tmp_path / 'kept'}}}\n")
    return path


def index_of(folder: Path) -> Index:
    (about,) = folder.rglob(ABOUT)
    return Index(str(about.parent))


def check(folder: Path, voxels: np.ndarray) -> None:
    labels, counts = np.unique(voxels[voxels > 0], return_counts=True)
    rows = index_of(folder).of(labels.astype("u8"))
    assert rows["voxels"].tolist() == counts.tolist()


def test_an_index_is_built_once(
    config: Path, voxels: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert main(["index", "seg.h5", "-e", str(config)]) == 0
        assert "899 labels" in capsys.readouterr().err
    check(config.parent / "kept", voxels)


def test_what_has_no_labels_is_said(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["index", "em.h5", "-e", str(config)]) == 1
    assert "em.h5 is an image" in capsys.readouterr().err
    config.write_text(config.read_text().replace("pyramid: {", "pyramid: {size: 0, "))
    assert main(["index", "seg.h5", "-e", str(config)]) == 1
    assert "pyramid.size is 0, so nothing is kept" in capsys.readouterr().err


def started(config: Path, **words: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bfly", "index", "seg.h5", "-e", str(config)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, start_new_session=True, **quiet, **words)


def pieces(kept: Path) -> list[Path]:
    return [path for path in kept.rglob("pieces/*") if path.name[0] != "."]


def wait_for_a_piece(process: subprocess.Popen[str], kept: Path) -> None:
    """Wait until there is one piece more."""
    before = len(pieces(kept))
    while process.poll() is None and len(pieces(kept)) == before:
        time.sleep(0.01)


def finished(process: subprocess.Popen[str]) -> str:
    """Return what a process wrote, which ended well."""
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    return said


def files_of(kept: Path) -> dict[str, bytes]:
    """Return the files of the only index, and nothing besides."""
    (about,) = kept.rglob(ABOUT)
    return {path.name: path.read_bytes() for path in about.parent.rglob("*")}


@pytest.fixture(scope="module")
def undisturbed(voxels: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the files of the index as a server builds it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    stored(folder / "seg.h5", voxels)
    volume = Volume.open(ChannelSpec(str(folder / "seg.h5"), kind="segmentation"))
    indexes = BackgroundIndexes(Indexes(str(folder / "kept"), 1 << 30))
    while indexes.ready(volume) is None:
        with suppress(Unfinished):
            indexes.of(volume)
    return files_of(folder / "kept")


def test_a_killed_build_goes_on(
    config: Path, voxels: np.ndarray, undisturbed: dict[str, bytes]
) -> None:
    kept = config.parent / "kept"
    for _ in range(3):
        process = started(config)
        wait_for_a_piece(process, kept)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert not list(kept.rglob(ABOUT)), "what is not whole is no index"
    done = {path: path.stat().st_mtime_ns for path in pieces(kept)}
    assert len(done) >= 3
    process = started(config)
    wait_for_a_piece(process, kept)
    left = [path for path in done if path.exists()]
    assert [path.stat().st_mtime_ns for path in left] == [done[path] for path in left]
    finished(process)
    assert files_of(kept) == undisturbed
    check(kept, voxels)


def test_a_killed_worker_is_replaced(config: Path, undisturbed: dict[str, bytes]) -> None:
    process = started(config)
    kept = config.parent / "kept"
    wait_for_a_piece(process, kept)
    workers = subprocess.check_output(["pgrep", "-P", str(process.pid), "-f", "spawn_main"])
    os.kill(int(workers.split()[0]), signal.SIGKILL)
    finished(process)
    assert files_of(kept) == undisturbed


def test_two_commands_build_the_same_index(config: Path, undisturbed: dict[str, bytes]) -> None:
    both = [started(config) for _ in range(2)]
    said = [finished(process) for process in both]
    assert all("899 labels" in text and "Warning" not in text for text in said)
    assert files_of(config.parent / "kept") == undisturbed


@pytest.mark.parametrize("most", [100, 60_000], ids=["a piece", "the index"])
def test_a_full_disk_is_said(config: Path, undisturbed: dict[str, bytes], most: int) -> None:
    kept = config.parent / "kept"
    largest = max(map(len, undisturbed.values()))
    assert largest > 60_000

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    process = started(config, preexec_fn=limit)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "cannot be written: [Errno 27] File too large" in said
    assert not list(kept.rglob(ABOUT))
    finished(started(config))
    assert files_of(kept) == undisturbed
