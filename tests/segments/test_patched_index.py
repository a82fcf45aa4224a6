"""The label index after patches, beside numpy on the patched volume."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bfly.edits.patch_runs import packed_changes
from bfly.edits.patches import Patch, Patches
from bfly.geometry import BoundingBox, indexes, zyx
from bfly.segments import patched_index as patched
from bfly.segments import touched
from bfly.segments.patched_index import PatchedIndex
from bfly.segments.posting import postings_of
from bfly.segments.recount import Recount
from bfly.segments.search import Wanted
from bfly.segments.segments import Segments
from bfly.segments.touched import Touched
from bfly.storage.lru_cache import LruCache
from tests.segments.test_index import CELL, built, volumes

if TYPE_CHECKING:
    import pytest

    from bfly.segments.index import Index

NEW = 5000


def patches_of(stored: np.ndarray, *patched: np.ndarray) -> Patches:
    """Return the patches that lead from one volume to the next."""
    found = []
    for number, (before, after) in enumerate(pairwise([stored, *patched])):
        pairs, runs = packed_changes(before, after)
        box = BoundingBox.of_shape(zyx(stored.shape))
        found.append(Patch(number, box, pairs[:, 0], pairs[:, 1], runs))
    return Patches(found)


def patched_index(index: Index, stored: np.ndarray, patches: Patches) -> PatchedIndex:
    """Return an index with the recounts of its patched cells, through the bytes that are kept."""
    cells, recounts = Touched(patches, zyx(stored.shape), LruCache(1 << 20)), []
    after = patches.apply(stored, (0, 0, 0))
    for cell in cells.cells:
        box = BoundingBox.of_shape((1, 1, 1), cell).refined(CELL) & BoundingBox.of_shape(
            zyx(stored.shape)
        )
        both = (np.ascontiguousarray(each[box.slices]) for each in (stored, after))
        recounts.append(Recount.unpacked(Recount.of(*both, box.start).packed))
    return PatchedIndex(index, cells, recounts, zyx(stored.shape))


@st.composite
def paints(draw: st.DrawFn, voxels: np.ndarray) -> np.ndarray:
    """Draw what some random paints make of a volume: ids that are there, new ones, and 0."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    patched = voxels.copy()
    most = int(np.iinfo(voxels.dtype).max)
    for number in range(draw(st.integers(1, 4))):
        start = [int(random.integers(0, side)) for side in voxels.shape]
        box = tuple(slice(a, a + int(random.integers(1, 9))) for a in start)
        there = int(random.choice(voxels.ravel()))
        some = [0, there, min(most, NEW + number)]
        mask = random.random(patched[box].shape) < draw(st.sampled_from([0.3, 1.0]))
        patched[box][mask] = some[draw(st.integers(0, 2))]
    if draw(st.booleans()):
        # A label that is gone.
        patched[patched == patched.max()] = 0
    return patched


def test_random_patches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patched, "CELL", CELL)
    monkeypatch.setattr(touched, "CELL", CELL)

    @settings(deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def check(data: st.DataObject) -> None:
        voxels = data.draw(volumes())
        first = data.draw(paints(voxels))
        second = data.draw(paints(first))
        with TemporaryDirectory() as folder:
            index = built(voxels, Path(folder))
            for volumes_after in ([first], [first, second]):
                found = patched_index(index, voxels, patches_of(voxels, *volumes_after))
                compare(found, volumes_after[-1])
                compare_versions(found, voxels, volumes_after)

    check()


def assert_same(rows: np.ndarray, expected: np.ndarray) -> None:
    for field in ("label", "voxels", "low", "high"):
        assert rows[field].tolist() == expected[field].tolist()


def compare_versions(index: PatchedIndex, stored: np.ndarray, after: list[np.ndarray]) -> None:
    """The cells are those with other voxels, and so are the versions of labels in them."""
    steps = pairwise([stored, *after])
    changed = np.any([a != b for a, b in steps], axis=0)
    cells = np.unique(np.argwhere(changed) // CELL, axis=0).tolist()
    assert [list(cell) for cell in index.touched.cells] == cells
    for label in np.unique([stored, *after])[:9]:
        there = [np.argwhere(each == label) // CELL for each in (stored, after[-1])]
        own = np.unique(np.concatenate(there), axis=0).tolist()
        if label:
            text = index.version(np.array([label]).astype("u8"))
            assert bool(text) == any(cell in cells for cell in own)


def compare(index: PatchedIndex, patched: np.ndarray) -> None:
    whole = BoundingBox.of_shape(zyx(patched.shape))
    rows = []
    for place in indexes(whole.in_tiles(CELL)):
        box = BoundingBox.of_shape((1, 1, 1), place).refined(CELL) & whole
        rows.append(postings_of(np.ascontiguousarray(patched[box.slices]), box.start))
    expected = np.concatenate(rows)
    expected = expected[np.argsort(expected["label"], kind="stable")]
    parts = np.concatenate(list(index.parts()))
    assert_same(parts, expected)
    labels = np.unique(np.concatenate([expected["label"], index.changed]))
    own = index.postings(labels[::-1])
    assert_same(own, expected)
    ids = patched.astype("u8")
    for row in index.of(labels):
        places = np.argwhere(ids == row["label"])
        assert row["voxels"] == len(places)
        assert row["low"].tolist() == places.min(axis=0).tolist()
        assert row["high"].tolist() == (places.max(axis=0) + 1).tolist()
        assert ids[tuple(row["point"])] == row["label"]
    segments = Segments(index)
    there, counts = np.unique(ids[ids > 0], return_counts=True)
    assert segments.count == len(there)
    listed = segments.largest(0, 10_000)
    assert sorted(listed["label"].tolist()) == there.tolist()
    assert listed["voxels"].tolist() == sorted(counts.tolist(), reverse=True)
    wanted = Wanted((), there[:3])
    assert sorted(segments.largest(0, 9, wanted)["label"].tolist()) == there[:3].tolist()
