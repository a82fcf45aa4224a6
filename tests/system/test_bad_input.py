"""Common faults of files: each has a clear error, and other channels are served."""

from __future__ import annotations

import json
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import h5py
import imagecodecs
import numpy as np
import pytest

from bfly.config.config import Config
from bfly.errors import ConfigError
from bfly.geometry import BoundingBox
from bfly.sources.stack import ImageStack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

AT = {"experiment": "exp", "sample": "sam", "dataset": "dat", "format": "raw"}
BOX = {"x": 0, "y": 0, "z": 0, "width": 8, "height": 8, "depth": 6}

VOLUME = np.random.default_rng(0).integers(1, 255, (6, 64, 64), np.uint8)

BROKEN = {
    "truncated HDF5": ("cut.h5", 503, "cut.h5 cannot be opened as HDF5"),
    "a damaged chunk": ("damaged.h5", 503, "the chunk (0, 0, 0) of /main is damaged"),
    "a section of another size": ("uneven", 503, "s3.png is 30 x 64"),
    "a section that is no image": ("torn", 503, "s2.png"),
    "Mojo without its XML": ("mojo", 503, "tiledVolumeDescription.xml"),
    "BOSS without extent": ("boss.json", 503, "extent"),
    "a file that is not there": ("gone.h5", 503, "gone.h5"),
    "a link that leaves allowed-paths": ("link.h5", 403, "is not in allowed-paths"),
    "a section that leaves allowed-paths": ("linked", 403, "is not in allowed-paths"),
    "a path that leaves allowed-paths": ("../secret.h5", 403, "is not in allowed-paths"),
}


def stack(folder: Path) -> Path:
    folder.mkdir()
    for z, section in enumerate(VOLUME):
        (folder / f"s{z}.png").write_bytes(imagecodecs.png_encode(section))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("bad")
    folder = top / "served"
    folder.mkdir()
    for name in ("good.h5", "cut.h5", "damaged.h5"):
        with h5py.File(folder / name, "w") as file:
            made = file.create_dataset("main", data=VOLUME, chunks=(6, 32, 64), compression="gzip")
            info = made.id.get_chunk_info(0)
    shutil.copy(folder / "good.h5", top / "secret.h5")
    os.truncate(folder / "cut.h5", os.path.getsize(folder / "cut.h5") // 2)
    with open(folder / "damaged.h5", "r+b") as raw:
        raw.seek(info.byte_offset + 50)
        raw.write(bytes(200))
    stack(folder / "even")
    stack(folder / "fresh")
    small = imagecodecs.png_encode(VOLUME[0][:30])
    (stack(folder / "uneven") / "s3.png").write_bytes(small)
    os.truncate(stack(folder / "torn") / "s2.png", 500)
    linked = stack(folder / "linked") / "s1.png"
    shutil.move(linked, top / "secret.png")
    os.symlink(top / "secret.png", linked)
    os.symlink(top / "secret.h5", folder / "link.h5")
    (folder / "mojo" / "tiles" / "w=00000000" / "z=00000000").mkdir(parents=True)
    boss = {"ingest_job": {"tile_size": {"x": 64, "y": 64, "z": 1}}, "tiles": []}
    (folder / "boss.json").write_text(json.dumps(boss))
    return folder


@pytest.fixture(scope="module")
def client(folder: Path, serve, make_tree) -> Iterator[httpx.Client]:
    names = [name for name, _, _ in BROKEN.values()] + ["good.h5", "even", "fresh"]
    channels = [{"name": os.path.basename(name), "path": str(folder / name)} for name in names]
    # Stated, since voxels are read for a kind that is not.
    channels[-1]["kind"] = "image"
    with serve(make_tree(*channels, **{"allowed-paths": [str(folder)]})) as client:
        yield client


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_channel_says_why(client, case: str, caplog: pytest.LogCaptureFixture) -> None:
    name, status, message = BROKEN[case]
    words = {**AT, **BOX, "channel": os.path.basename(name)}
    got = client.get("/api/data", params=words)
    assert got.status_code == status
    assert message in got.text
    assert got.text.count("\n") == 1
    if status == 503:
        assert message in caplog.text
    chunk = client.get(f"/pre/exp::sam::dat/{os.path.basename(name)}/0/0-64_0-64_0-6")
    assert chunk.status_code == status


def test_the_other_channels_go_on(client) -> None:
    for name in ("good.h5", "even"):
        got = client.get("/api/data", params={**AT, **BOX, "channel": name})
        assert got.content == VOLUME[:, :8, :8].tobytes()


def test_the_sound_parts_of_a_broken_channel_are_served(client) -> None:
    words = {**AT, **BOX, "depth": 1}
    for name in ("uneven", "torn", "linked"):
        got = client.get("/api/data", params={**words, "channel": name})
        assert got.content == VOLUME[0, :8, :8].tobytes()
    got = client.get("/api/data", params={**words, "channel": "damaged.h5", "y": 40})
    assert got.content == VOLUME[0, 40:48, :8].tobytes()


def test_a_misspelt_key(tmp_path: Path) -> None:
    path = tmp_path / "typo.yaml"
    path.write_text("bfly:\n  prot: 2017\n  max-cache-size: lots\n")
    with pytest.raises(ConfigError) as caught:
        Config.load(str(path))
    size, spelling = sorted(str(caught.value).splitlines())
    assert spelling.startswith(f"{path}: bfly.prot is 2017, but there is no such key; did you mean")
    assert size == (
        f"{path}: bfly.max-cache-size is 'lots'; allowed is a whole number of MiB above 0."
    )


def test_64_clients_at_once_read_a_tile_once(client, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[BoundingBox] = []
    original = ImageStack.read

    def counted(self: ImageStack, mip: int, box: BoundingBox) -> np.ndarray:
        reads.append(box)
        return original(self, mip, box)

    monkeypatch.setattr(ImageStack, "read", counted)
    barrier = threading.Barrier(64)
    words = {**AT, **BOX, "channel": "fresh", "depth": 1}

    def ask(i: int) -> bytes:
        barrier.wait()
        return bytes(client.get("/api/data", params={**words, "x": i % 8}).content)

    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(ask, range(64)))
    assert answers == [VOLUME[0, :8, i % 8 : i % 8 + 8].tobytes() for i in range(64)]
    assert len(reads) == 1
