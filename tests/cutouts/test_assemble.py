"""Large regions of sources without threads of their own: read in parts, at their places."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bfly.cutouts import assemble
from bfly.errors import SourceError
from bfly.geometry import BoundingBox
from bfly.queries.data import DataQuery
from bfly.sources.wkw.source import Wkw
from tests.fixtures import wkw_dataset

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bfly.core.core import Core

SHAPE = (70, 50, 60)


@pytest.fixture
def voxels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 250, SHAPE).astype("u1")


@pytest.fixture
def path(tmp_path: Path, voxels: np.ndarray) -> str:
    wkw_dataset.write(tmp_path / "set", voxels, sides=(8, 4))
    return str(tmp_path / "set" / "color" / "1")


def test_a_large_region_is_read_in_parts(
    path: str, voxels: np.ndarray, make_core: Callable[..., Core], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assemble, "SHARED", 1)
    parts: list[BoundingBox] = []
    lock, read_into = threading.Lock(), Wkw.read_into

    def noted(source: Wkw, mip: int, box: BoundingBox, target: np.ndarray) -> None:
        with lock:
            parts.append(box)
        read_into(source, mip, box, target)

    monkeypatch.setattr(Wkw, "read_into", noted)
    core = make_core()
    names = ("z", "y", "x", "depth", "height", "width")
    for start, shape in (((3, 2, 1), (60, 40, 50)), ((0, 0, 0), SHAPE), ((69, 0, 0), (1, 50, 60))):
        parts.clear()
        words = dict(zip(names, (*start, *shape), strict=True))
        found = core.find_tiles(DataQuery(path=path, kind="image", **words))
        box = BoundingBox.of_shape(shape, start)
        assert (found == voxels[box.slices]).all()
        assert sum(part.size for part in parts) == box.size
        assert all(part.start[0] % 8 == 0 for part in parts if part.start != box.start)
    assert len(parts) == 1


def test_an_error_in_a_part_is_that_of_the_region(
    path: str, make_core: Callable[..., Core], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assemble, "SHARED", 1)

    def damaged(_source: Wkw, _mip: int, box: BoundingBox, _target: np.ndarray) -> None:
        if box.start[0]:
            raise SourceError("a damaged block")

    monkeypatch.setattr(Wkw, "read_into", damaged)
    words = {"z": 0, "y": 0, "x": 0, "depth": 70, "height": 50, "width": 60}
    with pytest.raises(SourceError, match="a damaged block"):
        make_core().find_tiles(DataQuery(path=path, kind="image", **words))
