"""Facts about labels, against numpy on the whole volume."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest

from bfly.downsample import downsample
from bfly.errors import Absent, BadRequest, TooLarge
from bfly.protocols.boss_queries import IdsQuery
from bfly.queries.data import DataQuery
from bfly.queries.label import LabelQuery

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bfly.core.core import Core

OFFSET = (-3, 10, 7)
LABELS = [0, 5, 2**53 + 1, 2**53 + 2, 2**64 - 1]


@pytest.fixture
def volume() -> np.ndarray:
    rng = np.random.default_rng(0)
    volume = np.zeros((40, 70, 90), np.uint64)
    for label in LABELS[1:]:
        z, y, x = (sorted(rng.integers(0, n, 2)) for n in volume.shape)
        volume[z[0] : z[1] + 1, y[0] : y[1] + 1, x[0] : x[1] + 1] = label
    return volume


@pytest.fixture
def path(volume: np.ndarray, tmp_path: Path) -> str:
    with h5py.File(tmp_path / "seg.h5", "w") as file:
        file.create_dataset("main", data=volume, chunks=(16, 16, 16))
    return str(tmp_path / "seg.h5")


def expected_box(volume: np.ndarray, label: int, first: tuple[int, ...]) -> tuple[list[int], ...]:
    where = np.argwhere(volume == np.uint64(label)) + first
    return where.min(0).tolist(), (where.max(0) + 1).tolist()


@pytest.mark.parametrize("cache", [64 << 20, 1 << 20], ids=["cached", "past the cache"])
@pytest.mark.parametrize("mip", [0, 1, 2])
@pytest.mark.parametrize("listed", [1, 7, 1 << 14])
def test_labels_of_a_whole_volume(
    volume,
    path: str,
    make_core: Callable[..., Core],
    monkeypatch: pytest.MonkeyPatch,
    listed: int,
    mip: int,
    cache: int,
) -> None:
    monkeypatch.setattr("bfly.cutouts.assemble.LISTED", listed)
    core = make_core(cache=cache, block=64 << 10)
    words = {"path": path, "voxel_offset": OFFSET, "resolution": mip}
    coarse = downsample(volume, OFFSET, (1, 2**mip, 2**mip), "segmentation") if mip else volume
    first = (OFFSET[0], OFFSET[1] >> mip, OFFSET[2] >> mip)
    whole = LabelQuery("unique", whole=True, **words)
    assert core.find_unique(whole) == set(np.unique(coarse).tolist())
    assert whole.box.start == first
    assert whole.box.shape == coarse.shape
    highest = core.labels.find(LabelQuery("highest", whole=True, **words))
    assert highest == int(coarse.max())
    for label in np.unique(coarse).tolist():
        box = core.labels.find(LabelQuery("box", label, whole=True, **words))
        assert (list(box.start), list(box.stop)) == expected_box(coarse, label, first)


def test_labels_of_a_box(volume, path: str, make_core: Callable[..., Core]) -> None:
    core = make_core()
    box = {"z": 5, "y": 20, "x": 30, "depth": 11, "height": 31, "width": 22}
    part = volume[8:19, 10:41, 23:45]
    words = {"path": path, "voxel_offset": OFFSET, **box}
    assert core.find_unique(LabelQuery("unique", **words)) == set(np.unique(part).tolist())
    for label in np.unique(part).tolist():
        found = core.labels.find(LabelQuery("box", label, **words))
        assert (list(found.start), list(found.stop)) == expected_box(part, label, (5, 20, 30))


def test_outside_there_is_only_0(path: str, make_core: Callable[..., Core]) -> None:
    core = make_core()
    query = LabelQuery("unique", path=path, z=1000)
    assert core.find_unique(query) == {0}
    assert core.labels.find(LabelQuery("highest", path=path, z=1000)) == 0
    assert core.find_unique(DataQuery(path=path, z=-1, depth=2, height=70, width=90)) >= {0}


@pytest.mark.parametrize("label", [2**53, 77, 2**64, -1])
def test_a_label_that_is_not_there(path: str, make_core: Callable[..., Core], label: int) -> None:
    with pytest.raises(Absent, match=f"There is no label {label} at resolution 1"):
        make_core().labels.find(LabelQuery("box", label, whole=True, path=path, resolution=1))


def test_an_image_has_no_labels(path: str, make_core: Callable[..., Core]) -> None:
    with pytest.raises(BadRequest, match="is an image; only a segmentation has labels"):
        make_core().labels.answer(LabelQuery("unique", path=path, kind="image"))


def test_labels_are_found_among_many_in_little_memory(tmp_path, make_core, monkeypatch) -> None:
    monkeypatch.setattr("bfly.cutouts.label_stats.SOME", 1000)
    volume = np.random.default_rng(5).integers(0, 2**63, (20, 70, 70)).astype("u8")
    volume[:, 30:] = volume[0, 0]
    path = str(tmp_path / "ids.npy")
    np.save(path, volume)
    box = {"z": 0, "y": 0, "x": 0, "depth": 20, "height": 70, "width": 70}
    core = make_core(block=4096)
    assert core.find_unique(DataQuery(path=path, **box)) == set(np.unique(volume).tolist())
    distinct = len(np.unique(volume))
    monkeypatch.setattr("bfly.core.label_answers.MOST_VALUES", distinct)
    ids = IdsQuery(path=path, kind="segmentation", **box)
    assert len(json.loads(core.labels.answer(ids))["ids"]) == distinct
    monkeypatch.setattr("bfly.core.label_answers.MOST_VALUES", distinct - 1)
    with pytest.raises(
        TooLarge, match=f"{distinct} values at resolution 0; at most {distinct - 1} are listed"
    ):
        core.labels.answer(IdsQuery(path=path, kind="segmentation", **box))
