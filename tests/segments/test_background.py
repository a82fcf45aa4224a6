"""Indexes that are built ahead of their need: a few at once, and none that failed."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from bfly.segments import background
from bfly.segments.background import BackgroundIndexes
from bfly.segments.store import Indexes
from bfly.volumes.channel import ChannelSpec
from bfly.volumes.volume import Volume

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def volumes(tmp_path: Path) -> list[Volume]:
    found = []
    for number in range(4):
        path = tmp_path / f"{number}.h5"
        with h5py.File(path, "w") as file:
            file["main"] = np.full((5, 6, 7), number + 1, "u8")
        found.append(Volume.open(ChannelSpec(str(path), (0, 0, 0), "segmentation")))
    return found


@pytest.fixture
def indexes(tmp_path: Path) -> BackgroundIndexes:
    return BackgroundIndexes(Indexes(str(tmp_path / "kept"), 1 << 30))


def until(what: Any) -> None:
    for _ in range(500):
        if what():
            return
        time.sleep(0.01)
    raise AssertionError("it takes too long")


def test_an_index_is_built_before_it_is_needed(
    indexes: BackgroundIndexes, volumes: list[Volume]
) -> None:
    assert indexes.ready(volumes[0]) is None
    indexes.start(volumes[0])
    until(lambda: indexes.ready(volumes[0]))
    assert indexes.of(volumes[0]).summary.voxels == 5 * 6 * 7


def test_a_few_are_built_at_once(
    indexes: BackgroundIndexes, volumes: list[Volume], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, begun = threading.Event(), []
    run = background._Running.run

    def wait(running: Any) -> None:
        begun.append(running.path)
        assert gate.wait(10)
        run(running)

    monkeypatch.setattr(background._Running, "run", wait)
    for volume in volumes:
        indexes.start(volume)
    until(lambda: len(begun) == background.MOST_AHEAD)
    gate.set()
    # One that is needed does not depend on that.
    assert indexes.of(volumes[3]).summary.labels == 1


def test_one_that_failed_is_not_started_again(
    indexes: BackgroundIndexes, volumes: list[Volume], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = []

    def fail(running: Any) -> None:
        begun.append(running.path)
        raise OSError("The disk is full.")

    monkeypatch.setattr(background._Running, "run", fail)
    indexes.start(volumes[0])
    until(lambda: begun and not indexes._running)
    indexes.start(volumes[0])
    indexes.start(volumes[1])
    until(lambda: len(begun) == 2 and not indexes._running)
    assert begun == [volumes[0].spec.path, volumes[1].spec.path]
