"""``bfly mesh``: meshes of all or some segments on Dask, through interruptions."""

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

from bfly.butterfly import runtime_of
from bfly.cli import main
from bfly.config.config import Config
from bfly.databases.edit_logs import edits_of
from bfly.databases.sqlite import Sqlite
from tests.fixtures.jobs import without_dask
from tests.fixtures.multires import decoded
from tests.fixtures.patching import Patching
from tests.segments.test_surface import open_edges

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

SHAPE = (130, 260, 260)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    blocks = np.arange(1, 31, dtype="u4").reshape(2, 3, 5)
    voxels = blocks.repeat(65, 0).repeat(87, 1).repeat(52, 2)[tuple(map(slice, SHAPE))]
    data = tmp_path / "data"
    data.mkdir()
    for name, stored in (("seg", voxels), ("em", voxels.astype("f4"))):
        with h5py.File(data / f"{name}.h5", "w") as file:
            file.create_dataset("main", data=stored, chunks=(16, 64, 64), compression="gzip")
    path = tmp_path / "config.yaml"
    main([str(data), "-o", str(path)])
    path.write_text(
        f"{path.read_text()}  pyramid: {{folder: {tmp_path / 'kept'}}}\n"
        f"  db-type: Sqlite\n  db-path: {tmp_path / 'bfly.db'}\n"
    )
    return path


def meshes_of(config: Path) -> dict[str, bytes]:
    kept = config.parent / "kept" / "multires"
    found = {path.name: path.read_bytes() for path in kept.rglob("*") if path.is_file()}
    return {name: data for name, data in found.items() if name.partition(".")[0].isdecimal()}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["em.h5"], "em.h5 is an image"),
        (["seg.h5", "0"], "'0' is no segment; allowed are whole numbers from 1 to 18446744073709"),
        (["seg.h5", "x"], "'x' is no segment"),
        (["seg.h5", str(2**64)], "is no segment"),
        (["other.h5"], "other.h5 is not the name of a channel"),
    ],
)
def test_what_has_no_meshes_is_said(
    config: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(["mesh", *words, "-e", str(config)]) == 1
    assert said in capsys.readouterr().err


def test_nothing_is_kept_without_a_store(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(config.read_text().replace("pyramid: {", "pyramid: {size: 0, "))
    assert main(["mesh", "seg.h5", "-e", str(config)]) == 1
    assert "pyramid.size is 0, so nothing is kept" in capsys.readouterr().err


def test_a_missing_library_is_named(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "DracoPy", None)
    assert main(["mesh", "seg.h5", "-e", str(config)]) == 1
    assert "pip install 'bfly[dask,mesh]' has it" in capsys.readouterr().err


def test_meshes_are_made_once(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    without_dask(monkeypatch)
    assert main(["mesh", "seg.h5", "400", "-e", str(config)]) == 1
    assert "There is no segment 400 in" in capsys.readouterr().err
    for _ in range(2):
        assert main(["mesh", "seg.h5", "7", "12", "-e", str(config)]) == 0
        assert "its meshes are kept in" in capsys.readouterr().err
    found = meshes_of(config)
    assert set(found) == {"7", "7.index", "12", "12.index"}
    assert open_edges(decoded(found["7.index"], found["7"]).parts(0)) == 0


def test_segments_with_patches_are_left_to_the_server(
    config: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    serve: Callable[..., Any],
) -> None:
    without_dask(monkeypatch)
    assert main(["mesh", "seg.h5", "7", "12", "-e", str(config)]) == 0
    parsed = Config.load(str(config))
    path = parsed.experiments[0].samples[0].datasets[0].channels[-1].path
    with h5py.File(path) as file:
        voxels = file["main"][:]
    database = Sqlite(str(config.parent / "bfly.db"), runtime_of(parsed))
    edits = Patching(edits_of(database).channel(path), voxels)
    low = np.argwhere(voxels == 7).min(axis=0)
    edits.paint(tuple(slice(at + 20, at + 40) for at in low.tolist()), 0)
    database.close()
    assert main(["mesh", "seg.h5", "7", "-e", str(config)]) == 1
    said = capsys.readouterr().err
    assert "Voxels of the segment 7 of" in said
    assert "the server makes its mesh" in said
    assert main(["mesh", "seg.h5", "-e", str(config)]) == 0
    assert "1 segments with patches are left to the server" in capsys.readouterr().err
    assert len(meshes_of(config)) == 2 * 30
    with serve(parsed, Sqlite(str(config.parent / "bfly.db"), runtime_of(parsed))) as client:
        address = "root::data::data/seg.h5"
        kept = meshes_of(config)
        for segment in ("7", "12"):
            index, data = (
                client.get(f"/pre/{address}/multires/{segment}{end}").content
                for end in (".index", "")
            )
            assert (index == kept[f"{segment}.index"]) == (segment == "12")
            assert decoded(index, data).parts(0)


def test_a_killed_job_goes_on(config: Path) -> None:
    words = [sys.executable, "-m", "bfly", "mesh", "seg.h5", "-e", str(config)]
    kept = config.parent / "kept" / "multires"
    for pattern in ("*/*/*/plan.json", "*/*/*/pieces/[0-9]*", "*/*/*/[1-9]*.index"):
        process = subprocess.Popen(words, stderr=subprocess.DEVNULL, start_new_session=True)
        while process.poll() is None and not list(kept.glob(pattern)):
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert len(list(kept.glob("*/*/*/plan.json"))) == 1
    subprocess.run(words, check=True, capture_output=True)
    found = meshes_of(config)
    assert len(list(kept.glob("*/*/*/done.json"))) == 1
    assert len(found) == 2 * 30
    for label in range(1, 31):
        mesh = decoded(found[f"{label}.index"], found[str(label)])
        assert len(mesh.levels) == 1
        if label in (7, 12):  # in several nodes
            assert open_edges(mesh.parts(0)) == 0
    assert not list(kept.glob("*/*/*/pieces"))
