"""Boxes of labels: with an index, they equal those that are read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest

from bfly.errors import Absent
from bfly.queries.info import InfoQuery
from bfly.queries.label import LabelQuery
from bfly.segments.background import BackgroundIndexes
from bfly.segments.store import Indexes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bfly.core.core import Core
    from bfly.geometry import BoundingBox

OFFSET = (3, -5, 10)


@pytest.fixture
def path(tmp_path: Path) -> str:
    blocks = np.random.default_rng(2).integers(0, 30, (4, 9, 11)).astype("u4")
    with h5py.File(tmp_path / "seg.h5", "w") as file:
        file["main"] = blocks.repeat(3, 0).repeat(7, 1).repeat(5, 2)
    return str(tmp_path / "seg.h5")


def box(core: Core, path: str, label: int, **words: object) -> BoundingBox | None:
    query = LabelQuery("box", label, path=path, voxel_offset=OFFSET, kind="segmentation", **words)
    try:
        return core.labels.find(query)
    except Absent:
        return None


@pytest.mark.parametrize("edits", [[], [["3", "9"], ["20", "4", "5"]]])
@pytest.mark.parametrize(
    "words",
    [
        {"whole": True},
        {"z": 5, "y": 0, "x": 20, "depth": 4, "height": 30, "width": 11},
        {"z": 90, "y": 0, "x": 20, "depth": 4, "height": 30, "width": 11},
    ],
)
@pytest.mark.parametrize("mip", [0, 1, 3])
def test_boxes_are_the_same_with_an_index(
    path: str,
    tmp_path: Path,
    make_core: Callable[..., Core],
    mip: int,
    words: dict[str, object],
    edits: list[list[str]],
) -> None:
    core = make_core()
    if edits:
        query = InfoQuery(method="websocket:save", path=path, kind="segmentation")
        assert json.loads(core.get_edits(query, {"merge": edits}))["error"] == ""
    labels = [0, 3, 4, 5, 9, 20, 29, 77, 2**70]
    read = [box(core, path, label, resolution=mip, **words) for label in labels]
    core.segments.indexes = BackgroundIndexes(Indexes(str(tmp_path / "kept"), 1 << 30))
    query = LabelQuery("highest", whole=True, path=path, kind="segmentation", voxel_offset=OFFSET)
    core.labels.find(query)
    assert core.segments.segments(query.volume, None).index
    found = [box(core, path, label, resolution=mip, **words) for label in labels]
    assert found == read
    assert mip or "z" in words or any(read)


def test_a_whole_box_is_not_read(
    path: str, tmp_path: Path, make_core: Callable[..., Core], monkeypatch: pytest.MonkeyPatch
) -> None:
    core = make_core()
    expected = box(core, path, 7, whole=True)
    core.segments.indexes = BackgroundIndexes(Indexes(str(tmp_path / "kept"), 1 << 30))
    query = LabelQuery("highest", whole=True, path=path, kind="segmentation", voxel_offset=OFFSET)
    core.labels.find(query)
    assert core.segments.segments(query.volume, None).index
    monkeypatch.setattr("bfly.core.label_answers.box_of", None)
    assert box(core, path, 7, whole=True) == expected
