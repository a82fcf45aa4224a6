"""The index of random volumes in several formats, and of FIB-25, beside numpy."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
import tensorstore as ts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from bfly.edits.channel import ChannelEdits
from bfly.edits.log import MemoryLog
from bfly.edits.operation import Operation
from bfly.queries.segments import SegmentsQuery
from bfly.segments import background, building
from bfly.segments.background import BackgroundIndexes
from bfly.segments.posting import CELL
from bfly.segments.segments import Segments
from bfly.segments.store import Indexes
from bfly.volumes.channel import ChannelSpec
from bfly.volumes.volume import Volume

if TYPE_CHECKING:
    from collections.abc import Callable

    from bfly.core.core import Core
    from bfly.segments.index import Index

Voxels = np.ndarray

SMALL = (4, 7, 9)
"""A cell, so that small volumes have many."""


def _hdf5(path: str, voxels: Voxels, chunk: tuple[int, ...]) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("main", data=voxels, chunks=chunk)


def _npy(path: str, voxels: Voxels, _: tuple[int, ...]) -> None:
    np.save(path, voxels)


def _zarr(path: str, voxels: Voxels, chunk: tuple[int, ...]) -> None:
    about = {"shape": voxels.shape, "chunks": chunk, "dtype": voxels.dtype.str}
    spec = {"driver": "zarr", "kvstore": f"file://{path}", "metadata": about, "create": True}
    ts.open(spec).result()[...] = voxels


def _n5(path: str, voxels: Voxels, chunk: tuple[int, ...]) -> None:
    about = {"dimensions": voxels.shape[::-1], "blockSize": chunk[::-1]}
    about |= {"dataType": voxels.dtype.name, "compression": {"type": "gzip"}}
    spec = {"driver": "n5", "kvstore": f"file://{path}", "metadata": about, "create": True}
    ts.open(spec).result()[...] = voxels.T


WRITERS = {"seg.h5": _hdf5, "seg.npy": _npy, "seg.zarr": _zarr, "seg.n5": _n5}


@st.composite
def volumes(draw: st.DrawFn) -> tuple[Voxels, tuple[int, ...]]:
    """Draw labels and the shape of a chunk."""
    shape = draw(st.tuples(*[st.integers(1, 23)] * 3))
    chunk = tuple(draw(st.integers(1, side)) for side in shape)
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = np.dtype(draw(st.sampled_from(["u1", "u2", "u4", "u8", "i2", "i4", "i8"])))
    info = np.iinfo(dtype)
    labels = np.array([0, 0, 1, 2, 3, 4, 5, 6, 7, info.max, info.max - 1], dtype)
    if dtype.kind == "i" and draw(st.booleans()):
        labels = np.append(labels, np.array([-1, info.min], dtype))
    coarse = random.choice(labels, [-(-side // 3) for side in shape])
    fine = coarse.repeat(3, 0).repeat(3, 1).repeat(3, 2)
    return np.ascontiguousarray(fine[tuple(slice(side) for side in shape)]), chunk


def listed(core: Core, path: str, offset: tuple[int, ...]) -> list[dict[str, Any]]:
    words = {"path": path, "kind": "segmentation", "voxel_offset": offset, "count": 1000}
    query = SegmentsQuery(name="seg", labelled=(path,), **words)
    return [json.loads(line) for line in core.segments.answer(query).splitlines()]


@pytest.mark.parametrize("name", WRITERS)
def test_random_volumes(
    name: str, make_core: Callable[..., Core], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "CELL", SMALL)
    monkeypatch.setattr(building, "REGION", 1 << 10)

    @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
    @given(volumes(), st.tuples(*[st.integers(-50, 50)] * 3))
    def check(drawn: tuple[Voxels, tuple[int, ...]], offset: tuple[int, ...]) -> None:
        voxels, chunk = drawn
        with TemporaryDirectory() as folder:
            path = str(Path(folder, name))
            WRITERS[name](path, voxels, chunk)
            core = make_core()
            core.segments.indexes = BackgroundIndexes(Indexes(folder, 1 << 30))
            rows = listed(core, path, offset)
            core.close()
        ids = voxels.astype("u8")
        labels, counts = np.unique(ids[ids > 0], return_counts=True)
        assert [row["voxels"] for row in rows] == sorted(counts.tolist(), reverse=True)
        assert sorted(row["id"] for row in rows) == labels.tolist()
        for row in rows:
            places = np.argwhere(ids == np.uint64(row["id"]))
            assert row["voxels"] == len(places)
            for axis, along in zip("zyx", (places + offset).T, strict=True):
                assert (row[f"{axis}_low"], row[f"{axis}_high"]) == (along.min(), along.max() + 1)
            point = np.array([row[axis] for axis in "zyx"]) - offset
            assert ids[tuple(point)] == np.uint64(row["id"])

    check()


@pytest.fixture(scope="module")
def supervoxels(fib25: Path) -> tuple[Voxels, Voxels]:
    """Return the supervoxels of FIB-25, and the pairs of supervoxels and bodies."""
    with h5py.File(fib25 / "groundtruth.h5") as file:
        return file["stack"][:], file["transforms"][:].astype("u8")


def indexed(path: Path, voxels: Voxels, monkeypatch: pytest.MonkeyPatch) -> Index:
    monkeypatch.setattr(background, "PATIENCE", 120)
    _hdf5(str(path), voxels, (64, 64, 64))
    volume = Volume.open(ChannelSpec(str(path), kind="segmentation"))
    return BackgroundIndexes(Indexes(str(path.parent / "kept"), 1 << 30)).of(volume)


def compare(segments: Segments, voxels: Voxels) -> int:
    """Compare all segments with numpy; return how many there are."""
    counts, boxes = np.bincount(voxels.ravel()), ndimage.find_objects(voxels)
    labels = np.flatnonzero(counts[1:]).astype("u8") + np.uint64(1)
    rows = segments.of(labels)
    assert rows["label"].tolist() == labels.tolist()
    assert rows["voxels"].tolist() == counts[labels.astype(int)].tolist()
    there = [boxes[label - 1] for label in labels.tolist()]
    assert rows["low"].tolist() == [[along.start for along in box] for box in there]
    assert rows["high"].tolist() == [[along.stop for along in box] for box in there]
    assert (voxels[tuple(rows["point"].T)] == labels).all()
    places = np.indices(voxels.shape).reshape(3, -1) // np.array(CELL)[:, None]
    grid = np.ravel_multi_index(tuple(places), (8, 8, 8)).astype("u8")
    pairs = np.unique(voxels.ravel().astype("u8") << np.uint64(9) | grid)
    expected = pairs[pairs >> np.uint64(9) > 0]
    found = []
    for label in labels.tolist():
        own = segments.index.postings(segments.members(label))
        cells = np.ravel_multi_index(tuple((own["low"] // np.array(CELL)).T), (8, 8, 8))
        found.append(np.unique(cells).astype("u8") | np.uint64(label << 9))
    assert np.concatenate(found).tolist() == expected.tolist()
    listed = segments.largest(0, len(labels) + 10)
    assert listed["voxels"].tolist() == sorted(counts[1:][counts[1:] > 0].tolist(), reverse=True)
    assert len(listed) == segments.count == len(labels)
    return len(labels)


def test_fib25_has_its_supervoxels_and_bodies(
    supervoxels: tuple[Voxels, Voxels], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack, pairs = supervoxels
    index = indexed(tmp_path / "seg.h5", stack, monkeypatch)
    assert compare(Segments(index), stack) == 21_316
    lookup = np.zeros(stack.max() + 1, "i4")
    lookup[pairs[:, 0]] = pairs[:, 1]
    bodies = lookup[stack]
    # Bodies as merges of supervoxels: a body has the id of its least supervoxel.
    edited = pairs[np.isin(pairs[:, 0], np.unique(stack[stack > 0]).astype("u8"))]
    edited = edited[np.lexsort((edited[:, 0], edited[:, 1]))]
    edited = edited[edited[:, 1] > 0]
    _, first, sizes = np.unique(edited[:, 1], return_index=True, return_counts=True)
    names = edited[first, 0]
    own = np.ascontiguousarray(edited[:, 0])
    lists = {"supervoxels": own, "sizes": sizes.astype("u4"), "was": own, "names": names}
    edits = ChannelEdits("seg.h5", MemoryLog())
    edits.append(lambda _: [Operation(1, "merge", "", 0, **lists)])
    name_of = np.zeros(stack.max() + 1, "i4")
    name_of[own] = names.repeat(sizes)
    assert (np.unique(bodies[name_of[stack] > 0]) > 0).all()
    assert compare(Segments(index, edits.state), name_of[stack]) == len(names) == 525
    index = indexed(tmp_path / "bodies.h5", bodies, monkeypatch)
    assert compare(Segments(index), bodies) == 525
