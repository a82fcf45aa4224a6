from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from bfly.geometry import indexes
from bfly.jobs import pyramid as fill
from bfly.jobs.pyramid import Task, do, pieces, tiles_of
from bfly.testing.volumes import random_volume
from bfly.volumes.channel import ChannelSpec
from bfly.volumes.level import Level

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SHAPE = (40, 300, 200)


def make_task(path: str, folder: Path, **words: Any) -> Task:
    return Task(ChannelSpec(path, **words), ("/",), 1 << 13, str(folder), 1 << 30)


@pytest.fixture(params=[{}, {"voxel_size": (4.0, 4.0, 4.0), "voxel_offset": (3, 5, 7)}])
def task(
    request: pytest.FixtureRequest, write_channel: Callable[..., str], store_folder: Path
) -> Task:
    path = write_channel(random_volume(SHAPE, "uint8"))
    return make_task(path, store_folder, **request.param)


@pytest.mark.parametrize("region", [1, 1 << 16, 1 << 30])
def test_each_tile_is_in_one_piece(
    task: Task, region: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fill, "REGION", region)
    volume = task.open()
    times = Counter(
        (mip, index)
        for piece in pieces(volume)
        for mip, tiles in tiles_of(volume, piece).items()
        for index in indexes(tiles)
    )
    wanted = {
        (mip, index)
        for mip in range(1, volume.levels)
        for index in indexes(volume.level(mip).tiles)
    }
    assert set(times) == wanted
    assert set(times.values()) == {1}


@pytest.mark.parametrize("region", [1, 1 << 30])
def test_all_mips_equal_another_computation(
    task: Task,
    region: int,
    monkeypatch: pytest.MonkeyPatch,
    independent: Callable[..., np.ndarray],
) -> None:
    monkeypatch.setattr(fill, "REGION", region)
    volume = task.open()
    done = [do(task, piece) for piece in pieces(volume)]
    assert sum(each.failed for each in done) == 0
    with h5py.File(task.spec.path) as file:
        voxels = file["main"][:]
    offset = task.spec.voxel_offset
    for mip in range(1, volume.levels):
        level, kept = volume.level(mip), volume.kept(mip)
        assert kept
        expected = independent(voxels, offset, level.factor, "image")
        np.testing.assert_array_equal(kept.read(level.whole), expected)


def test_what_is_kept_already_is_not_computed_again(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *others = pieces(task.open())
    before = do(task, first)
    assert before.computed
    assert before.there == 0
    done, read = [], Level.read

    def counted(self: Level, *words: Any) -> Any:
        done.append(self.mip)
        return read(self, *words)

    monkeypatch.setattr(Level, "read", counted)
    again = do(task, first)
    assert (again.computed, again.there, done) == (0, before.computed, [])
    rest = [do(task, piece) for piece in others]
    assert sum(each.computed for each in rest) == len(done)


def test_a_chunk_that_cannot_be_read_costs_only_the_tiles_that_need_it(
    write_channel: Callable[..., str], store_folder: Path
) -> None:
    path = write_channel(random_volume(SHAPE, "uint8"))
    with h5py.File(path) as file:
        spoilt = file["main"].id.get_chunk_info(0)
    with open(path, "r+b") as file:
        file.seek(spoilt.byte_offset)
        file.write(bytes(spoilt.size))
    task = make_task(path, store_folder)
    volume = task.open()
    done = [do(task, piece) for piece in pieces(volume)]
    # The chunk lies in the first tile of each mip.
    assert sum(each.failed for each in done) == volume.levels - 1
    assert path in next(each.error for each in done if each.error)
    total = sum(volume.level(mip).tiles.size for mip in range(1, volume.levels))
    assert sum(each.computed for each in done) == total - (volume.levels - 1)


def test_a_store_that_cannot_be_written_is_told(
    write_channel: Callable[..., str], store_folder: Path
) -> None:
    store_folder.write_text("a file")
    task = make_task(write_channel(random_volume(SHAPE, "uint8")), store_folder)
    done = do(task, next(pieces(task.open())))
    assert (done.computed, done.failed > 0) == (0, True)
    assert str(store_folder) in done.error
