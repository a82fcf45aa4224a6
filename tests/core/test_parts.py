"""Parts of one file: each has its own tiles, kept mips and edits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest

from bfly.geometry import BoundingBox
from bfly.queries.data import DataQuery
from bfly.queries.info import InfoQuery
from bfly.volumes.channel import ChannelSpec
from bfly.volumes.pyramid_store import Pyramids
from bfly.volumes.volume import Volume

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bfly.core.core import Core

PARTS = {"": 1, "#c=1": 2, "#volumes/other": 3}
"""The value of all voxels of each part but the first, which is 10 more."""

SHAPE = (2, 64, 64)


def labels(value: int) -> np.ndarray:
    voxels = np.full(SHAPE, value, "u4")
    voxels[0, 0, 0] += 10
    return voxels


@pytest.fixture
def path(tmp_path: Path) -> str:
    with h5py.File(tmp_path / "seg.h5", "w") as file:
        file["main"] = np.stack([labels(1), labels(2)])
        file["main"].attrs["axes"] = "czyx"
        file["volumes/other"] = labels(3)
    return str(tmp_path / "seg.h5")


def served(core: Core, path: str) -> int:
    return int(core.find_tiles(DataQuery(path=path, depth=2, height=64, width=64))[-1, -1, -1])


def test_tiles_are_cached_apart(make_core: Callable[..., Core], path: str) -> None:
    core = make_core()
    for _ in range(3):
        assert {part: served(core, path + part) for part in PARTS} == PARTS


def test_mips_are_kept_apart(tmp_path: Path, path: str) -> None:
    box = BoundingBox.of_shape((2, 32, 32))
    for is_kept in (False, True):
        for part, value in PARTS.items():
            store = Pyramids(str(tmp_path / "kept"), 1 << 30)
            kept = Volume.open(ChannelSpec(path + part), pyramids=store).kept(1)
            assert kept is not None
            voxels = kept.read(box)
            assert is_kept == (voxels is not None)
            if voxels is None:
                kept.keep(box, np.full(box.shape, value, "u4"))
                kept.flush()
            else:
                assert np.unique(voxels).tolist() == [value]


def test_edits_are_logged_apart(make_core: Callable[..., Core], path: str) -> None:
    core = make_core()
    query = InfoQuery(method="websocket:save", path=f"{path}#c=1")
    assert not json.loads(core.get_edits(query, {"merge": [["12", "2"]]}))["error"]
    assert {part: served(core, path + part) for part in PARTS} == {**PARTS, "#c=1": 12}
    positions = {part: core.edits.channel(path + part).state.position for part in PARTS}
    assert positions == {"": 0, "#c=1": 1, "#volumes/other": 0}
