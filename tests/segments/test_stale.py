"""An index belongs to one state of the files, and to those that use it."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
import tensorstore as ts

from bfly.errors import SourceChanged
from bfly.queries.segments import SegmentsQuery
from bfly.segments import building
from bfly.segments.background import BackgroundIndexes
from bfly.segments.building import PIECES, Build
from bfly.segments.rows import RowFile
from bfly.segments.store import Indexes
from bfly.volumes.channel import ChannelSpec
from bfly.volumes.volume import Volume

if TYPE_CHECKING:
    from collections.abc import Callable

    from bfly.core.core import Core
    from bfly.segments.index import Index

CELL = (8, 16, 16)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "CELL", CELL)


@pytest.fixture
def voxels() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 50, (16, 32, 48)).astype("u4")


@pytest.fixture
def path(tmp_path: Path, voxels: np.ndarray) -> str:
    with h5py.File(tmp_path / "seg.h5", "w") as file:
        file.create_dataset("main", data=voxels, chunks=CELL)
    return str(tmp_path / "seg.h5")


@pytest.fixture
def store(tmp_path: Path) -> Indexes:
    return Indexes(str(tmp_path / "kept"), 1 << 30)


def opened(path: str) -> Volume:
    return Volume.open(ChannelSpec(path, kind="segmentation"))


def sizes(index: Index) -> dict[int, int]:
    return dict(index.largest(0, 99)[["label", "voxels"]].tolist())


def counted(voxels: np.ndarray) -> dict[int, int]:
    labels, counts = np.unique(voxels[voxels > 0], return_counts=True)
    return dict(zip(labels.tolist(), counts.tolist(), strict=True))


def change(path: str, voxels: np.ndarray) -> None:
    """Write voxels to the file or folder of a channel."""
    if path.endswith(".h5"):
        with h5py.File(path, "r+") as file:
            file["main"][...] = voxels
    else:
        ts.open({"driver": "n5", "kvstore": f"file://{path}"}).result()[...] = voxels.T


def test_a_file_that_changes_while_it_is_read(
    store: Indexes, path: str, voxels: np.ndarray
) -> None:
    build = store.build(opened(path))
    assert build
    first, second, *_ = build.pieces(build.open())
    build.do(first)
    change(path, changed := voxels + np.uint32(1))
    with pytest.raises(SourceChanged, match=r"seg\.h5 changed"):
        build.do(second)
    assert store.open(build) is None
    assert sizes(BackgroundIndexes(store).of(opened(path))) == counted(changed)


def test_a_chunk_that_changes_before_it_is_read(
    store: Indexes, tmp_path: Path, voxels: np.ndarray
) -> None:
    path = str(tmp_path / "seg.n5")
    spec = {"driver": "n5", "kvstore": f"file://{path}", "create": True}
    about = {"dimensions": voxels.T.shape, "blockSize": CELL[::-1], "dataType": "uint32"}
    about["compression"] = {"type": "raw"}
    ts.open({**spec, "metadata": about}).result()[...] = voxels.T
    build = store.build(opened(path))
    assert build
    last = list(build.pieces(build.open()))[-1]
    changed = voxels.copy()
    changed[8:, 16:, 32:] = 49
    # Its first state was noted, but it is read only now.
    change(path, changed)
    building._opened.cache_clear()
    with pytest.raises(SourceChanged, match=r"seg\.n5 changed while its label index was built"):
        build.do(last)
    volume = opened(path)
    volume.__dict__["state"] = build.state
    files = []
    for piece in build.pieces(volume):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(building, "_opened", lambda _, volume=volume: volume)
            files.append(build.do(piece))
    with pytest.raises(SourceChanged, match=r"seg\.n5 changed while its label index was built"):
        build.finish(files)
    assert store.open(build) is None
    assert not os.path.exists(os.path.join(build.folder, PIECES))
    assert sizes(BackgroundIndexes(store).of(opened(path))) == counted(changed)


def test_a_request_goes_on_with_a_file_that_changes_meanwhile(
    path: str,
    tmp_path: Path,
    voxels: np.ndarray,
    make_core: Callable[..., Core],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    core = make_core()
    core.segments.indexes = BackgroundIndexes(Indexes(str(tmp_path / "kept"), 1 << 30))
    monkeypatch.setattr("bfly.segments.background.PATIENCE", 30)
    changed, do, once = voxels + np.uint32(1), Build.do, threading.Lock()

    def interrupted(build: Build, piece: tuple[int, int, int]) -> str:
        if once.acquire(blocking=False):
            do(build, piece)
            change(path, changed)
        return do(build, piece)

    monkeypatch.setattr(Build, "do", interrupted)
    assert listed(core, path) == counted(changed)


def listed(core: Core, path: str) -> dict[int, int]:
    query = SegmentsQuery(name="seg", labelled=(path,), path=path, kind="segmentation")
    rows = [json.loads(line) for line in core.segments.answer(query).splitlines()]
    return {row["id"]: row["voxels"] for row in rows}


def test_a_touched_file_is_read_again(store: Indexes, path: str, voxels: np.ndarray) -> None:
    first = BackgroundIndexes(store).of(opened(path))
    os.utime(path)
    second = BackgroundIndexes(store).of(opened(path))
    assert first.folder != second.folder
    assert sizes(first) == sizes(second) == counted(voxels)


def test_an_index_in_use_that_is_removed_is_built_again(
    path: str, tmp_path: Path, voxels: np.ndarray, make_core: Callable[..., Core]
) -> None:
    core, folder = make_core(), str(tmp_path / "kept")
    core.segments.indexes = BackgroundIndexes(Indexes(folder, 1 << 30))
    assert listed(core, path) == counted(voxels)
    other = Indexes(folder, 1)
    other.trim("")
    assert not list(Path(folder).rglob("postings"))
    assert listed(core, path) == counted(voxels)


def test_an_index_that_is_removed_during_a_request(
    path: str,
    tmp_path: Path,
    voxels: np.ndarray,
    make_core: Callable[..., Core],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    core, folder = make_core(), str(tmp_path / "kept")
    core.segments.indexes = BackgroundIndexes(Indexes(folder, 1 << 30))
    assert listed(core, path) == counted(voxels)
    read, once = RowFile.read_spans, threading.Lock()

    def removed(self: RowFile, *spans: list[int]) -> np.ndarray:
        if once.acquire(blocking=False):
            Indexes(folder, 1).trim("")
        return read(self, *spans)

    monkeypatch.setattr(RowFile, "read_spans", removed)
    assert listed(core, path) == counted(voxels)


def test_an_index_that_is_removed_in_part_is_none(store: Indexes, path: str) -> None:
    index = BackgroundIndexes(store).of(opened(path))
    build = store.build(opened(path))
    assert build
    removed, rmtree = [], shutil.rmtree

    def interrupted(folder: str, **_: object) -> None:
        removed.append(folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shutil, "rmtree", interrupted)
        Indexes(os.path.dirname(store.folder), 1).trim("")
    assert removed == [index.folder]
    assert store.open(build) is None
    rmtree(index.folder)


def test_the_index_that_is_used_most_recently_stays(
    store: Indexes, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bfly.segments.store.TOUCH", 0)
    volume = opened(path)
    first = BackgroundIndexes(store).of(volume)
    os.utime(path)
    second = BackgroundIndexes(store).of(opened(path))
    for index in (first, second):
        os.utime(os.path.join(index.folder, "about.json"), (1, 1))
    assert BackgroundIndexes(store).of(volume) is first
    size = sum(file.stat().st_size for file in Path(first.folder).iterdir())
    Indexes(os.path.dirname(store.folder), size).trim("")
    assert os.path.exists(first.folder)
    assert not os.path.exists(second.folder)
