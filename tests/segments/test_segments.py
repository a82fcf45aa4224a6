"""Segments after edits, and the building of their index."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest

from bfly.edits.channel import ChannelEdits
from bfly.edits.log import MemoryLog
from bfly.edits.message import Save
from bfly.edits.operation import Operation
from bfly.edits.state import EditState
from bfly.errors import SourceError, TooLarge
from bfly.segments import background, building, segments
from bfly.segments.background import BackgroundIndexes, Unfinished
from bfly.segments.building import PIECES, piece_shape
from bfly.segments.index import Index
from bfly.segments.segments import Segments
from bfly.segments.store import Indexes
from bfly.sources.file_state import Watched
from bfly.volumes.channel import ChannelSpec
from bfly.volumes.volume import Volume

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (70, 300, 280)


@pytest.fixture
def voxels() -> np.ndarray:
    coarse = np.random.default_rng(0).integers(0, 4000, (18, 75, 70))
    return coarse.repeat(4, 0).repeat(4, 1).repeat(4, 2)[:70].astype("u4")


@pytest.fixture
def path(tmp_path: Path, voxels: np.ndarray) -> str:
    with h5py.File(tmp_path / "seg.h5", "w") as file:
        file.create_dataset("main", data=voxels, chunks=(16, 64, 64), compression="gzip")
    return str(tmp_path / "seg.h5")


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "REGION", 1 << 20)


@pytest.fixture
def store(tmp_path: Path) -> Indexes:
    return Indexes(str(tmp_path / "kept"), 1 << 30)


def opened(path: str) -> Volume:
    return Volume.open(ChannelSpec(path, kind="segmentation"))


def same(rows: np.ndarray, voxels: np.ndarray) -> None:
    labels, counts = np.unique(voxels[voxels > 0], return_counts=True)
    assert rows["label"].tolist() == labels.tolist()
    assert rows["voxels"].tolist() == counts.tolist()


def test_a_channel_is_indexed_on_the_first_need(
    store: Indexes, path: str, voxels: np.ndarray
) -> None:
    volume = opened(path)
    indexes = BackgroundIndexes(store)
    assert indexes.percent(volume) is None
    index = indexes.of(volume)
    assert indexes.percent(volume) == 100
    same(index.of(np.arange(5000, dtype="u8")), voxels)
    assert BackgroundIndexes(store).of(opened(path)) is index
    assert not os.path.exists(os.path.join(index.folder, PIECES))


def test_pieces_are_whole_cells_and_chunks(path: str, tmp_path: Path) -> None:
    assert piece_shape(opened(path)) == (64, 128, 128)
    with h5py.File(tmp_path / "flat.h5", "w") as file:
        file.create_dataset("main", data=np.zeros((9, 700, 700), "u1"), chunks=(1, 700, 700))
    assert piece_shape(opened(str(tmp_path / "flat.h5"))) == (64, 128, 128)


def test_a_request_does_not_wait_long(
    store: Indexes, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "PATIENCE", 0.01)
    held, do = threading.Event(), building.Build.do

    def slow(build: building.Build, piece: tuple[int, int, int]) -> str:
        if piece != (0, 0, 0):
            assert held.wait(30)
        return do(build, piece)

    monkeypatch.setattr(building.Build, "do", slow)
    volume, indexes = opened(path), BackgroundIndexes(store)
    with pytest.raises(Unfinished, match=r"seg\.h5 is being built: \d+ % is done"):
        indexes.of(volume)
    assert indexes.percent(volume) in range(100)
    held.set()
    monkeypatch.setattr(background, "PATIENCE", 30)
    assert indexes.of(volume).summary.labels


def test_a_build_goes_on_where_it_was(store: Indexes, path: str, voxels: np.ndarray) -> None:
    build = store.build(opened(path))
    assert build
    pieces = list(build.pieces(opened(path)))
    first = [build.do(piece) for piece in pieces[:3]]
    times = [os.stat(file).st_mtime_ns for file in first]
    assert [build.do(piece) for piece in pieces[:3]] == first
    assert [os.stat(file).st_mtime_ns for file in first] == times
    assert store.open(build) is None
    index = BackgroundIndexes(store).of(opened(path))
    same(index.of(np.arange(5000, dtype="u8")), voxels)
    build.do(pieces[0])
    assert not os.path.exists(os.path.join(build.folder, PIECES))


def test_many_pieces_are_merged_in_steps(
    store: Indexes, path: str, voxels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "AT_ONCE", 4)
    same(BackgroundIndexes(store).of(opened(path)).of(np.arange(5000, dtype="u8")), voxels)


def test_a_changed_file_has_another_index(store: Indexes, path: str, voxels: np.ndarray) -> None:
    BackgroundIndexes(store).of(opened(path))
    with h5py.File(path, "r+") as file:
        file["main"][:8] = 4999
    changed = voxels.copy()
    changed[:8] = 4999
    index = BackgroundIndexes(store).of(opened(path))
    same(index.of(np.arange(5000, dtype="u8")), changed)


def test_a_large_channel_is_indexed_only_by_the_command(
    store: Indexes, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "LARGEST", 100)
    with pytest.raises(TooLarge, match="Run 'bfly index' with the channel's name"):
        BackgroundIndexes(store).of(opened(path))


def test_unreadable_voxels_are_an_error_each_time(store: Indexes, path: str) -> None:
    with h5py.File(path) as file:
        chunk = file["main"].id.get_chunk_info(40)
    with open(path, "r+b") as file:
        file.seek(chunk.byte_offset)
        file.write(b"\xff" * 20)
    for _ in range(2):
        with pytest.raises(SourceError, match=r"seg\.h5"):
            BackgroundIndexes(store).of(opened(path))


def test_the_least_recently_used_index_is_removed(store: Indexes, path: str) -> None:
    first = BackgroundIndexes(store).of(opened(path))
    os.utime(path)
    second = BackgroundIndexes(store).of(opened(path))
    os.utime(os.path.join(first.folder, "about.json"), (1, 1))
    Indexes(os.path.dirname(store.folder), 1).trim(second.folder)
    assert not os.path.exists(first.folder)
    assert os.path.exists(second.folder)


def test_the_index_after_random_merges(
    store: Indexes, path: str, voxels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "BATCH", 500)
    random = np.random.default_rng(3)
    labels = np.unique(voxels[voxels > 0])
    edits = ChannelEdits(path, MemoryLog())
    index = BackgroundIndexes(store).of(opened(path))
    table = np.arange(5000, dtype="u8")
    for _ in range(200):
        pair = random.choice(labels, 2, replace=False)
        merge = [[str(table[pair[0]]), str(table[pair[1]])]]
        if table[pair[0]] == table[pair[1]]:
            continue
        operations = Save.parse({"merge": merge}).operations
        state = edits.append(lambda s, operations=operations: operations(s, "", None))
        table = np.where(table == 0, 0, state.segments(table))
    merged = table[voxels]
    found = Segments(index, state)
    names, counts = np.unique(merged[merged > 0], return_counts=True)
    rows = found.of(names)
    assert rows["label"].tolist() == names.tolist()
    assert rows["voxels"].tolist() == counts.tolist()
    for row in rows[:: max(1, len(rows) // 50)]:
        places = np.argwhere(merged == row["label"])
        assert row["low"].tolist() == places.min(axis=0).tolist()
        assert row["high"].tolist() == (places.max(axis=0) + 1).tolist()
        assert merged[tuple(row["point"])] == row["label"]
    pages = [found.largest(start, 700) for start in range(0, len(names) + 700, 700)]
    listed = np.concatenate(pages)
    assert sorted(listed["label"].tolist()) == names.tolist()
    assert listed["voxels"].tolist() == sorted(counts.tolist(), reverse=True)


def merged(path: str, *lists: list[int]) -> ChannelEdits:
    edits = ChannelEdits(path, MemoryLog())
    save(edits, *lists)
    return edits


def save(edits: ChannelEdits, *lists: list[int]) -> None:
    operations = Save.parse({"merge": [list(map(str, ids)) for ids in lists]}).operations
    edits.append(lambda state: operations(state, "", None))


def ids(*numbers: int) -> np.ndarray:
    return np.array(numbers, "u8")


def test_several_ids_may_stand_for_one_segment(
    store: Indexes, path: str, voxels: np.ndarray
) -> None:
    found = Segments(BackgroundIndexes(store).of(opened(path)), merged(path, [3, 9, 20]).state)
    size = np.count_nonzero(np.isin(voxels, (3, 9, 20)))
    rows = found.of(ids(9, 3, 5, 9, 4999))
    assert rows["label"].tolist() == [3, 5, 9]
    assert rows["voxels"].tolist() == [size, np.count_nonzero(voxels == 5), size]
    assert found.counts(ids(9, 5, 3, 4999)).tolist() == [3, 1, 3, 1]


def test_a_segment_is_summed_once_however_many_ids_stand_for_it(
    store: Indexes, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = list(range(1, 900))
    edits = merged(path, labels)
    found = Segments(BackgroundIndexes(store).of(opened(path)), edits.state)
    expected, asked, members = found.of(ids(1)), [], EditState.members

    def counted(self: EditState, given: int) -> np.ndarray:
        asked.append(given)
        return members(self, given)

    monkeypatch.setattr(EditState, "members", counted)
    rows = found.of(ids(*labels))
    assert asked == [1]
    assert rows["label"].tolist() == labels
    assert (rows["voxels"] == expected["voxels"][0]).all()


def test_a_label_has_the_segment_of_its_name(store: Indexes, path: str, voxels: np.ndarray) -> None:
    index = BackgroundIndexes(store).of(opened(path))
    # The operation names the segment 5, but not the supervoxel 5.
    edits = ChannelEdits(path, MemoryLog())
    listed = {"supervoxels": ids(3, 9), "sizes": np.array([2], "u4"), "was": ids(3, 9)}
    table = Operation(1, "merge", "", 0, **listed, names=ids(5))
    edits.append(lambda _: [table])
    found = Segments(index, edits.state)
    size = np.count_nonzero(np.isin(voxels, (3, 5, 9)))
    assert found.of(ids(5))["voxels"].tolist() == [size]
    page = found.largest(0, 9999)
    assert len(page) == found.count == len(np.unique(page["label"]))
    assert page["voxels"][0] == size


def test_after_an_edit_only_what_it_names_is_looked_up(
    store: Indexes, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = BackgroundIndexes(store).of(opened(path))
    edits = merged(path, *([at, at + 1] for at in range(1, 900, 2)))
    first = Segments(index, edits.state)
    first.largest(0, 5)
    asked, of = [], Index.of

    def counted(self: Index, labels: np.ndarray) -> np.ndarray:
        asked.append(len(labels))
        return of(self, labels)

    monkeypatch.setattr(Index, "of", counted)
    save(edits, [3, 1000])
    later = Segments(index, edits.state, first)
    assert later.count == first.count - 1
    assert asked == [1]
    later.largest(0, 5)
    assert sum(asked[1:]) <= 5 * 3


def test_without_any_index_files_are_not_looked_at(
    store: Indexes, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Watched, "state", None)
        assert BackgroundIndexes(store).ready(opened(path)) is None
    index = BackgroundIndexes(store).of(opened(path))
    assert BackgroundIndexes(store).ready(opened(path)) is index


def test_an_unexpected_error_ends_a_build(
    store: Indexes, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> str:
        raise ValueError("of no known kind")

    monkeypatch.setattr(building.Build, "do", broken)
    with pytest.raises(SourceError, match=r"seg\.h5 has no label index: .*of no known kind"):
        BackgroundIndexes(store).of(opened(path))


def test_a_full_disk_is_said(store: Indexes, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("bfly.segments.rows._write", full)
        with pytest.raises(SourceError, match=r"cannot be written: .*No space left on device"):
            BackgroundIndexes(store).of(opened(path))
    assert BackgroundIndexes(store).of(opened(path)).summary.labels
