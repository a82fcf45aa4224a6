"""``bfly skeleton``: the skeletons of a channel, on Dask, through interruptions."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from bfly.butterfly import runtime_of
from bfly.cli import main
from bfly.config.config import Config
from bfly.databases.edit_logs import edits_of
from bfly.databases.nodb import Nodb
from bfly.databases.sqlite import Sqlite
from tests.fixtures.patching import Patching

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx

SHAPE = (64, 200, 200)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    data.mkdir()
    voxels = np.zeros(SHAPE, "u4")
    for number in range(40):
        y, x = divmod(number, 8)
        voxels[4:60, y * 40 + 5 : y * 40 + 20, x * 25 + 3 : x * 25 + 15] = number + 1
    for name, stored in (("seg", voxels), ("em", voxels.astype("f4"))):
        with h5py.File(data / f"{name}.h5", "w") as file:
            file.create_dataset("main", data=stored, chunks=(16, 64, 64), compression="gzip")
            file["main"].attrs["resolution"] = (30, 16, 16)
    path = tmp_path / "config.yaml"
    main([str(data), "-o", str(path)])
    path.write_text(f"{path.read_text()}  pyramid: {{folder: {tmp_path / 'kept'}}}\n")
    return path


def kept(config: Path) -> list[Path]:
    found = (config.parent / "kept" / "skeletons").rglob("*")
    return [path for path in found if path.is_file() and path.suffix != ".tmp"]


def served(client: httpx.Client) -> dict[int, dict[str, Any]]:
    """Return what the server knows of the segments, without computing a skeleton."""
    names = client.get("/api/channels", params=at(client)).json()
    assert "seg.h5" in names
    answer = client.get("/api/segments", params={**at(client), "channel": "seg.h5"})
    assert answer.status_code == 200, answer.text
    rows = [json.loads(line) for line in answer.text.splitlines()]
    return {row["id"]: row for row in rows}


def at(client: httpx.Client) -> dict[str, str]:
    words: dict[str, str] = {}
    for name in ("experiment", "sample", "dataset"):
        words[name] = client.get(f"/api/{name}s", params=words).json()[0]
    return words


def test_all_are_made_once_and_served(
    config: Path, capsys: pytest.CaptureFixture[str], serve: Callable[..., Any]
) -> None:
    assert main(["skeleton", "seg.h5", "3", "5", "-e", str(config)]) == 0
    assert "2 skeletons made, 0 were there, 0 failed" in capsys.readouterr().err
    assert main(["skeleton", "seg.h5", "-e", str(config)]) == 0
    assert "38 skeletons made, 2 were there, 0 failed" in capsys.readouterr().err
    assert len(kept(config)) == 40
    parsed = Config.load(str(config))
    with serve(parsed, Nodb("", runtime_of(parsed))) as client:
        rows = served(client)
        assert len(rows) == 40
        assert all(row["cable_length_um"] > 1.4 for row in rows.values())
        about = {**at(client), "channel": "seg.h5", "id": 5, "format": "json"}
        answer = client.get("/api/skeleton", params=about)
        assert answer.json()["cable_length_um"] == rows[5]["cable_length_um"]


def test_segments_with_patches_are_left_to_the_server(
    config: Path, capsys: pytest.CaptureFixture[str], serve: Callable[..., Any]
) -> None:
    config.write_text(f"{config.read_text()}  db-path: {config.parent / 'bfly.db'}\n")
    parsed = Config.load(str(config))
    path = str(config.parent / "data" / "seg.h5")
    with h5py.File(path) as file:
        voxels = file["main"][:]
    database = Sqlite(str(config.parent / "bfly.db"), runtime_of(parsed))
    edits = Patching(edits_of(database).channel(path), voxels)
    low, high = np.argwhere(voxels == 3).min(axis=0), np.argwhere(voxels == 3).max(axis=0) + 1
    low[0] += 20
    edits.paint(tuple(map(slice, low.tolist(), high.tolist())), 0)
    database.close()
    assert main(["skeleton", "seg.h5", "3", "5", "-e", str(config)]) == 0
    said = capsys.readouterr().err
    assert "1 segments with patches are left to the server" in said
    assert "1 skeletons made, 0 were there, 0 failed" in said
    with serve(parsed, Sqlite(str(config.parent / "bfly.db"), runtime_of(parsed))) as client:
        about = {**at(client), "channel": "seg.h5", "format": "json"}
        lengths = [
            client.get("/api/skeleton", params={**about, "id": one}).json()["cable_length_um"]
            for one in (3, 5)
        ]
    assert lengths[0] < lengths[1] - 0.3


def test_what_cannot_be_made_is_said(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["skeleton", "em.h5", "-e", str(config)]) == 1
    assert "em.h5 is an image" in capsys.readouterr().err
    assert main(["skeleton", "seg.h5", "3", "77", "-e", str(config)]) == 1
    said = capsys.readouterr().err
    assert "There is no segment 77 in" in said
    assert "1 skeletons made, 0 were there, 1 failed" in said
    config.write_text(config.read_text().replace("pyramid: {", "pyramid: {size: 0, "))
    assert main(["skeleton", "seg.h5", "-e", str(config)]) == 1
    assert "pyramid.size is 0, so nothing is kept" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["x", "0", "-1", str(2**64)])
def test_a_wrong_id_is_refused(config: Path, word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["skeleton", "-e", str(config), "seg.h5", "--", word])
    assert "is not the id of a segment" in capsys.readouterr().err


def test_a_killed_job_goes_on_and_nothing_half_written_is_served(
    config: Path, serve: Callable[..., Any]
) -> None:
    words = [sys.executable, "-m", "bfly", "skeleton", "seg.h5", "-e", str(config)]
    times = int(os.environ.get("BFLY_KILLS", "2"))
    wait = random.Random(0)
    for number in range(times):
        before = len(kept(config))
        process = subprocess.Popen(words, stderr=subprocess.DEVNULL, start_new_session=True)
        while process.poll() is None and len(kept(config)) <= min(before, 40 - times + number):
            time.sleep(0.01)
        time.sleep(wait.random() * 0.05)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        parsed = Config.load(str(config))
        with serve(parsed, Nodb("", runtime_of(parsed))) as client:
            rows = served(client)
            known = [row for row in rows.values() if row["cable_length_um"] is not None]
            assert len(known) >= min(before, 40)
            assert all(1.4 < row["cable_length_um"] < 2.2 for row in known)
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    assert " 0 failed" in done.stderr
    assert len(kept(config)) == 40
    again = subprocess.run(words, check=True, capture_output=True, text=True)
    assert "0 skeletons made, 40 were there" in again.stderr
