"""Search among segments: what begins with digits, and given ids, by size and page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest

from bfly.edits.channel import ChannelEdits
from bfly.edits.log import MemoryLog
from bfly.edits.message import Save
from bfly.segments import index as index_module
from bfly.segments.background import BackgroundIndexes
from bfly.segments.search import Wanted
from bfly.segments.segments import Segments
from bfly.segments.store import Indexes
from bfly.volumes.channel import ChannelSpec
from bfly.volumes.volume import Volume

if TYPE_CHECKING:
    from pathlib import Path

NONE = np.empty(0, np.uint64)


@pytest.fixture(scope="module")
def voxels() -> np.ndarray:
    random = np.random.default_rng(3)
    few = np.array([2**64 - 1, 2**63, 10**19, 1, 12], "u8")
    labels = np.append(random.integers(1, 3000, 500).astype("u8"), few)
    return random.choice(labels, (20, 30, 40))


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory, voxels: np.ndarray) -> Volume:
    path = str(tmp_path_factory.mktemp("search") / "seg.h5")
    with h5py.File(path, "w") as file:
        file["main"] = voxels
    return Volume.open(ChannelSpec(path, kind="segmentation"))


@pytest.fixture(params=["few", "all"])
def read(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the labels from the postings, or from the list of all sizes."""
    most = index_module.MOST_SEARCHED if request.param == "few" else -1
    monkeypatch.setattr(index_module, "MOST_SEARCHED", most)


@pytest.mark.usefixtures("read")
@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize("text", ["1", "12", "123", "9", "18446744073709551615", "0", "x", "1x"])
def test_pages_of_a_search_are_those_of_numpy(
    volume: Volume, voxels: np.ndarray, text: str, merged: bool, tmp_path: Path
) -> None:
    edits = ChannelEdits(volume.spec.path, MemoryLog())
    labels = np.unique(voxels).tolist()
    state, expected = None, voxels
    if merged:
        groups = [labels[:3], labels[40:50], labels[-2:]]
        message = {"action": "save", "merge": [list(map(str, group)) for group in groups]}
        operations = Save.parse(message).operations
        state = edits.append(lambda before: operations(before, "", None))
        names = state.segments(np.array(labels, "u8"))
        expected = names[np.searchsorted(np.array(labels, "u8"), voxels)]
    named = np.array(labels[7:9], "u8")
    segments = Segments(BackgroundIndexes(Indexes(str(tmp_path), 1 << 30)).of(volume), state)
    ids, counts = np.unique(expected, return_counts=True)
    sizes = {
        one: size
        for one, size in zip(ids.tolist(), counts.tolist(), strict=True)
        if str(one).startswith(text) or one in named
    }
    wanted = Wanted.of(text, named)
    pages = [segments.largest(start, 20, wanted) for start in range(0, len(sizes) + 20, 20)]
    found = np.concatenate(pages)
    assert dict(zip(found["label"].tolist(), found["voxels"].tolist(), strict=True)) == sizes
    assert found["voxels"].tolist() == sorted(sizes.values(), reverse=True)


def test_nothing_is_searched() -> None:
    assert not Wanted.of("", NONE).has(np.arange(100, dtype="u8")).any()
