"""What is derived from labels after patches, beside numpy on the patched volume."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bfly.core.segment_answers import SegmentAnswers
from bfly.errors import ButterflyError
from bfly.geometry import BoundingBox, zyx
from bfly.keywords import RUNTIME
from bfly.queries.label import LabelQuery
from bfly.queries.segments import SegmentsQuery, SparseVolumeQuery
from bfly.segments.background import BackgroundIndexes
from bfly.segments.recount import Recount
from bfly.segments.store import Indexes
from tests.fixtures.patching import Patching

if TYPE_CHECKING:
    from collections.abc import Callable

    from bfly.core.core import Core
    from bfly.edits.state import EditState

SMALL = (4, 9, 8)

OFFSET = (3, -5, 10)

OF_CELLS = (
    *("core.patched_indexes", "segments.building", "segments.cells", "segments.fragments"),
    *("segments.inside", "segments.patched_index", "segments.touched"),
)


@pytest.fixture
def small_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in OF_CELLS:
        monkeypatch.setattr(f"bfly.{module}.CELL", SMALL)
    monkeypatch.setattr("bfly.segments.background.PATIENCE", 60)


def written(path: Path, voxels: np.ndarray) -> str:
    with h5py.File(path, "w") as file:
        file.create_dataset("main", data=voxels, chunks=tuple(min(7, n) for n in voxels.shape))
    return str(path)


def runtime_with(folder: Path) -> RUNTIME:
    """Return settings with a store of computed mips."""
    runtime = RUNTIME()
    runtime.PYRAMID.FOLDER.VALUE, runtime.PYRAMID.SIZE.VALUE = str(folder), 1 << 30
    return runtime


def labels(random: np.random.Generator) -> np.ndarray:
    shape = random.integers(2, 7, 3)
    blocks = random.integers(0, 9, shape).astype("u4")
    return blocks.repeat(3, 0).repeat(4, 1).repeat(4, 2)


def words(path: str, **more: Any) -> dict[str, Any]:
    return {"path": path, "voxel_offset": OFFSET, "kind": "segmentation", **more}


def compare(core: Core, path: str, shown: np.ndarray, which: str = "segments") -> None:
    """Compare the rows, the labels and the voxels of all segments with numpy."""
    about = words(path, name="seg", labelled=(path,), labels=which)
    query = SegmentsQuery(**about, count=1000)
    rows = [json.loads(line) for line in core.segments.answer(query).splitlines()]
    ids, counts = np.unique(shown[shown > 0], return_counts=True)
    assert sorted(row["id"] for row in rows) == ids.tolist()
    assert [row["voxels"] for row in rows] == sorted(counts.tolist(), reverse=True)
    for row in rows:
        places = np.argwhere(shown == np.uint64(row["id"])) + OFFSET
        assert row["voxels"] == len(places)
        for axis, along in zip("zyx", places.T, strict=True):
            assert (row[f"{axis}_low"], row[f"{axis}_high"]) == (along.min(), along.max() + 1)
        assert [row[axis] for axis in "zyx"] in places.tolist()
        found = set()
        sparse = SparseVolumeQuery(**about, id=row["id"], format="jsonl")
        for line in b"".join(core.segments.sparse_volume(sparse)).splitlines():
            run = json.loads(line)
            found |= {(run["z"], run["y"], run["x"] + i) for i in range(run["length"])}
        assert found == set(map(tuple, places.tolist()))
    if len(ids):
        one = SegmentsQuery(**about, wanted=tuple(ids.tolist()))
        assert len(core.segments.answer(one).splitlines()) == len(ids)


def of(core: Core, path: str, which: str = "segments") -> Any:
    """Return the volume of a channel, and the state of its edits."""
    about = words(path, name="seg", labelled=(path,), labels=which)
    return core.basis(SegmentsQuery(**about))


def compare_labels(core: Core, path: str, shown: np.ndarray, random: np.random.Generator) -> None:
    """Compare the labels of a random box, and the box around one of them, with numpy."""
    low = random.integers(0, shown.shape)
    high = np.minimum(low + random.integers(1, 12, 3), shown.shape)
    part = shown[tuple(map(slice, low, high))]
    start = (low + OFFSET).tolist()
    sides = dict(zip(("depth", "height", "width"), part.shape, strict=True))
    about = words(path, **dict(zip("zyx", start, strict=True)), **sides)
    there = set(part[part > 0].tolist())
    assert core.labels.find(LabelQuery("unique", **about)) == there
    assert core.labels.find(LabelQuery("highest", **about)) == max(there, default=0)
    whole = words(path, whole=True)
    everywhere = set(shown[shown > 0].tolist())
    assert core.labels.find(LabelQuery("unique", **whole)) == everywhere
    assert core.labels.find(LabelQuery("highest", **whole)) == max(everywhere, default=0)
    for label in list(there)[:3]:
        places = np.argwhere(shown == np.uint64(label)) + OFFSET
        box = core.labels.find(LabelQuery("box", label, **whole))
        assert box == BoundingBox(zyx(places.min(axis=0)), zyx(places.max(axis=0) + 1))
        places = np.argwhere(part == np.uint64(label)) + start
        box = core.labels.find(LabelQuery("box", label, **about))
        assert box == BoundingBox(zyx(places.min(axis=0)), zyx(places.max(axis=0) + 1))


@pytest.mark.usefixtures("small_cells")
def test_random_edits(make_core: Callable[..., Core]) -> None:
    """At each state on the way, also those that are past, for a second server too."""

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 2**32 - 1))
    def check(seed: int) -> None:
        random = np.random.default_rng(seed)
        with TemporaryDirectory() as folder:
            voxels = labels(random)
            path = written(Path(folder, "seg.h5"), voxels)
            core = make_core()
            core.segments.indexes = BackgroundIndexes(Indexes(folder, 1 << 30))
            edits = Patching(core.edits.channel(path), voxels)
            stored = len(np.unique(voxels[voxels > 0]))
            for _ in range(5):
                try:
                    edits.random(random)
                except ButterflyError:
                    continue
                compare(core, path, edits.shown())
                compare(core, path, edits.patched().astype("u8"), "patched")
                assert core.segments.segments(*of(core, path, "supervoxels")).count == stored
                compare_labels(core, path, edits.shown(), random)
            volume, _ = of(core, path)
            for position in range(edits.state.position):
                past = edits.channel.at(position)
                segments = core.segments.segments(volume, past)
                ids, counts = np.unique(edits.shown(past), return_counts=True)
                rows = segments.of(ids)
                assert rows["label"].tolist() == ids[ids > 0].tolist()
                assert rows["voxels"].tolist() == counts[ids > 0].tolist()
                assert segments.count == len(ids[ids > 0])
            core.close()

    check()


@pytest.mark.usefixtures("small_cells")
def test_only_touched_cells_are_counted_again(
    make_core: Callable[..., Core], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By no process that shares the folder: what one has counted is kept for the others."""
    voxels = np.ones((8, 18, 16), "u4")
    path = written(tmp_path / "seg.h5", voxels)
    done: list[tuple[int, ...]] = []

    class Counting(Recount):
        @classmethod
        def of(cls, stored: Any, patched: Any, origin: Any) -> Recount:
            done.append(origin)
            return Recount.of(stored, patched, origin)

    monkeypatch.setattr("bfly.core.patched_indexes.Recount", Counting)
    cores = [make_core(), make_core()]
    for core in cores:
        core.segments = SegmentAnswers(
            runtime_with(tmp_path / "kept"), core._cutouts, core.update_query, core.connectome
        )
    first, second = cores
    edits = Patching(first.edits.channel(path), voxels)
    volume, _ = of(first, path)

    def sizes(core: Core, state: EditState) -> list[int]:
        return sorted(core.segments.segments(volume, state).largest(0, 9)["voxels"].tolist())

    edits.paint((slice(1, 3), slice(2, 5), slice(7, 9)), None)
    assert sizes(first, edits.state) == [12, voxels.size - 12]
    assert sorted(done) == [(0, 0, 0), (0, 0, 8)]
    done.clear()
    edits.paint((slice(5, 6), slice(10, 12), slice(3, 4)), None)
    both = edits.state
    assert sizes(first, both) == [2, 12, voxels.size - 14]
    assert done == [(4, 9, 0)]
    edits.merge(1, 1000)
    assert sizes(first, edits.state) == [2, voxels.size - 2]
    edits.undo(1, 3)
    assert sizes(first, edits.state) == [2, voxels.size - 2]
    assert sizes(second, both) == [2, 12, voxels.size - 14]
    assert done == [(4, 9, 0)]


@pytest.mark.usefixtures("small_cells")
def test_patches_of_a_file_that_was_replaced(
    make_core: Callable[..., Core], tmp_path: Path
) -> None:
    voxels = np.ones((8, 18, 16), "u4")
    path = written(tmp_path / "seg.h5", voxels)
    core = make_core()
    core.segments.indexes = BackgroundIndexes(Indexes(str(tmp_path / "kept"), 1 << 30))
    edits = Patching(core.edits.channel(path), voxels)
    edits.paint((slice(0, 8), slice(5, 15), slice(5, 16)), None)
    compare(core, path, edits.shown())
    smaller = np.ones((4, 9, 7), "u4")
    smaller[:2] = 2
    written(tmp_path / "seg.h5", smaller)
    of(core, path)[0].current = False
    # A patch changes only what it expects.
    shown = smaller.astype("u8")
    shown[2:, 5:, 5:] = 1000
    compare(core, path, shown)
