"""``bfly index``: the label index of a channel, on Dask, through interruptions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest

from bfly.cli import main
from bfly.segments.index import ABOUT, Index

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (130, 300, 300)


@pytest.fixture
def voxels() -> np.ndarray:
    blocks = np.random.default_rng(0).integers(0, 900, (33, 75, 75)).astype("u4")
    return blocks.repeat(4, 0).repeat(4, 1).repeat(4, 2)[: SHAPE[0]]


@pytest.fixture
def config(tmp_path: Path, voxels: np.ndarray) -> Path:
    data = tmp_path / "data"
    data.mkdir()
    for name, stored in (("seg", voxels), ("em", voxels.astype("f4"))):
        with h5py.File(data / f"{name}.h5", "w") as file:
            file.create_dataset("main", data=stored, chunks=(16, 64, 64), compression="gzip")
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


def test_a_killed_build_goes_on(config: Path, voxels: np.ndarray) -> None:
    words = [sys.executable, "-m", "bfly", "index", "seg.h5", "-e", str(config)]
    kept = config.parent / "kept"
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL, start_new_session=True)
    while process.poll() is None and not [
        path for path in kept.rglob("pieces/*") if path.name[0] != "."
    ]:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    subprocess.run(words, check=True, capture_output=True)
    check(kept, voxels)
