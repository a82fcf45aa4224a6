"""``bfly pyramid`` as a command."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import h5py
import pytest

from bfly.testing.volumes import random_volume

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bfly.config.config import Config


@pytest.fixture
def folder(tmp_path: Path, make_tree: Callable[..., Config]) -> Path:
    """A configuration of two channels, one with a damaged chunk."""
    for name in ("em.h5", "damaged.h5"):
        with h5py.File(tmp_path / name, "w") as file:
            volume = random_volume((16, 256, 256), "uint8")
            data = file.create_dataset("main", data=volume, chunks=(8, 64, 64), compression="gzip")
            chunk = data.id.get_chunk_info(0)
    with open(tmp_path / "damaged.h5", "r+b") as file:
        file.seek(chunk.byte_offset)
        file.write(bytes(chunk.size))
    channels = [{"name": name, "path": str(tmp_path / name)} for name in ("em.h5", "damaged.h5")]
    config = make_tree(*channels, pyramid={"folder": str(tmp_path / "kept")})
    config.save(str(tmp_path / "bfly.yaml"))
    return tmp_path


def bfly(folder: Path, *words: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "bfly", "pyramid", *words, "-e", "bfly.yaml"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_it_computes_what_is_not_kept(folder: Path) -> None:
    code, said = bfly(folder, "em.h5")
    assert code == 0, said
    assert "exp/sam/dat/em.h5: 3 tiles computed, 0 were there, 0 failed" in said
    code, said = bfly(folder, "exp::sam::dat/em.h5")
    assert code == 0, said
    assert "0 tiles computed, 3 were there, 0 failed" in said


def test_what_cannot_be_read_is_told(folder: Path) -> None:
    code, said = bfly(folder, "damaged.h5")
    assert code == 1, said
    assert "1 tiles computed, 0 were there, 2 failed" in said
    assert f"{folder}/damaged.h5" in said


def test_a_name_that_is_not_there_is_told_with_those_that_are(folder: Path) -> None:
    code, said = bfly(folder, "emm")
    assert code == 1
    assert "bfly: emm is not the name of a channel; allowed are em.h5, damaged.h5." in said


CLUSTER = """
import sys
from distributed import LocalCluster
from bfly.cli import main

if __name__ == "__main__":
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        words = ["pyramid", "em.h5", "-e", "bfly.yaml", "--scheduler"]
        sys.exit(main([*words, cluster.scheduler_address]))
"""


def test_a_scheduler_is_used(folder: Path) -> None:
    (folder / "cluster.py").write_text(CLUSTER)
    done = subprocess.run(
        [sys.executable, "cluster.py"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "3 tiles computed" in done.stderr
