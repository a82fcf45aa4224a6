"""The command, run in a process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import httpx
import imagecodecs
import numpy as np
import pytest

import bfly
from bfly.cli import main
from bfly.config.config import Config
from bfly.discovery.scan import scan
from bfly.storage.files import Files

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the documented example: two datasets, one below the other."""
    data = tmp_path / "data"
    (data / "dense" / "excellent").mkdir(parents=True)
    for name in ("dense/excellent/neuron.h5", "dense/raw-image.h5"):
        with h5py.File(data / name, "w") as file:
            file["main"] = np.zeros((2, 3, 4), "u1")
    return data


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    for words, text in ((["--help"], "bfly demo"), (["demo", "--help"], "synthetic tissue")):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 0
        assert text in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"bfly {bfly.__version__}\n"


def test_a_port_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["70000"])
    assert ended.value.code == 2
    assert "70000 is not a port from 0 to 65535" in capsys.readouterr().err
    for words in (["--", "-1"], ["²"], ["demo", "abc"]):
        with suppress(SystemExit):
            assert main(words) == 1
        said = capsys.readouterr().err
        assert f"{words[-1]} does not exist." in said or "abc is not a port" in said


def test_words_that_are_mistyped(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder.parent)
    for word, meant in (("docter", "bfly doctor"), ("Pyramid", "bfly pyramid"), ("dta", "data")):
        assert main([word]) == 1
        assert f"Did you mean {meant}?" in capsys.readouterr().err.replace("'", "")
    assert main(["data/dense/raw_image.h5"]) == 1
    assert "Did you mean data/dense/raw-image.h5?" in capsys.readouterr().err
    assert main(["nothing like it"]) == 1
    assert capsys.readouterr().err == "bfly: nothing like it does not exist.\n"


def test_nothing_to_serve(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("RH_CONFIG_FILENAME", str(tmp_path / "none.yaml"))
    assert main([]) == 1
    assert "none.yaml does not exist" in capsys.readouterr().err
    assert main(["-e", str(tmp_path / "nowhere")]) == 1
    assert "nowhere does not exist" in capsys.readouterr().err
    assert main(["-e", str(tmp_path)]) == 1
    assert "no channel of a supported format" in capsys.readouterr().err
    (tmp_path / "bad.yaml").write_text("bfly:\n  prot: 1\n")
    assert main(["--strict", "-e", str(tmp_path / "bad.yaml")]) == 1
    assert "bad.yaml: bfly.prot is 1" in capsys.readouterr().err


def test_a_folder_is_served_and_its_yaml_is_the_same_tree(
    command: Callable, folder: Path, tmp_path: Path
) -> None:
    saved = tmp_path / "found.yaml"
    at = {"experiment": "root", "sample": "data"}

    def tree(url: str) -> object:
        datasets = httpx.get(f"{url}api/datasets", params=at).json()
        return {
            dataset: httpx.get(f"{url}api/channels", params={**at, "dataset": dataset}).json()
            for dataset in datasets
        }

    with command(str(folder), "-o", str(saved), "0", cwd=tmp_path) as url:
        found = tree(url)
        assert found == {"dense": ["raw-image.h5"], "excellent": ["neuron.h5"]}
    config = Config.load(str(saved))
    dataset = config.dataset("root", "data", "excellent")
    assert dataset.path == str(folder / "dense" / "excellent")
    with command(str(saved), "0", cwd=tmp_path) as url:
        assert tree(url) == found
    with command("-e", str(saved), "0", cwd=tmp_path) as url:
        assert tree(url) == found
    with command("0", cwd=tmp_path, RH_CONFIG_FILENAME=str(saved)) as url:
        assert tree(url) == found
    assert (tmp_path / "bfly.log").read_text().count("serves http://") == 4


def test_developer_mode_starts_again_when_the_code_changes(folder: Path, tmp_path: Path) -> None:
    code = tmp_path / "bfly"
    shutil.copytree(Path(bfly.__file__).parent, code)
    saved = tmp_path / "found.yaml"
    Config(experiments=scan(str(folder), Files()).experiments, developer_mode=True).save(str(saved))
    words = [sys.executable, "-m", "bfly", "-e", str(saved), "0"]
    process = subprocess.Popen(
        words, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stderr
    try:
        assert any("serves http://" in line for line in process.stderr)
        with open(code / "errors.py", "a") as module:
            module.write("# Changed.\n")
        assert any("serves http://" in line for line in process.stderr)
    finally:
        # As a terminal does with Ctrl-C: all processes of the group hear it.
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert "Traceback" not in said
    assert process.returncode == 0


def test_host_and_json_log(command: Callable, folder: Path, tmp_path: Path) -> None:
    words = ("-e", str(folder), "--host", "127.0.0.2", "--log-json", "0")
    with command(*words, cwd=tmp_path) as url:
        assert url.startswith("http://127.0.0.2:")
        assert httpx.get(f"{url}healthz").status_code == 200
    for line in (tmp_path / "bfly.log").read_text().splitlines():
        assert {"time", "level", "message"} <= set(json.loads(line))


def test_the_demo_serves_a_picture_of_tissue(command: Callable, tmp_path: Path) -> None:
    with command("demo", "0", cwd=tmp_path) as url:
        at = {"experiment": "root", "sample": "bfly-demo", "dataset": "bfly-demo"}
        channels = httpx.get(f"{url}api/channels", params=at).json()
        assert channels == ["em.h5", "segmentation.h5", "supervoxels.h5"]
        box = {"x": 0, "y": 0, "z": 10, "width": 512, "height": 512}
        for channel in channels:
            got = httpx.get(f"{url}api/data", params={**at, **box, "channel": channel}, timeout=30)
            picture = imagecodecs.png_decode(got.content)
            assert picture.shape[:2] == (512, 512)
            assert picture.std() > 10
        started = time.time()
    assert os.path.getmtime(tmp_path / "bfly-demo" / "em.h5") <= started


def test_a_voxel_size_for_channels_that_state_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name, size in (("stated", [30, 8, 8]), ("silent", None)):
        with h5py.File(data / f"{name}.h5", "w") as file:
            file["main"] = np.zeros((2, 3, 4), "u1")
            if size:
                file["main"].attrs["resolution"] = size
    served = []
    monkeypatch.setattr("bfly.commands.serve._serve", lambda served_, *_: served.append(served_))
    saved = tmp_path / "saved.yaml"
    assert main([str(data), "-o", str(saved), "--voxel-size", "40,4,3.58"]) == 0
    channels = Config.load(str(saved)).channels.values()
    sizes = {channel.name: channel.voxel_size for channel in channels}
    assert sizes == {"stated.h5": (30, 8, 8), "silent.h5": (40, 4, 3.58)}
    assert {channel.kind for channel in channels} == {"image"}
    assert not served
    assert f"to serve them: bfly {saved}" in capsys.readouterr().err
    assert main([str(data), "-o", str(saved), "0"]) == 0
    assert len(served) == 1
    assert {c.voxel_size for c in served[0].config.channels.values()} == {None}
    assert main([str(saved), "--voxel-size", "40,4,4"]) == 1
    assert "in a YAML file, write voxel_size at a channel" in capsys.readouterr().err
    for wrong in ("40,4", "40,4,x", "40,4,0", "nan,4,4"):
        with pytest.raises(SystemExit):
            main(["-e", str(data), "--voxel-size", wrong])
        assert "argument --voxel-size" in capsys.readouterr().err
