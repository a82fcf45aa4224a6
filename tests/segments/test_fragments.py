"""Meshes of segments in fragments: exact places, no gaps, only what an edit touched is new."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest

from bfly.edits.channel import ChannelEdits
from bfly.edits.log import MemoryLog
from bfly.edits.message import Save
from bfly.geometry import BoundingBox
from bfly.segments import fragments
from bfly.segments.background import BackgroundIndexes
from bfly.segments.fragments import encoded, fragments_of, made
from bfly.segments.segments import Segments
from bfly.segments.store import Indexes
from bfly.segments.surface import Surface
from bfly.volumes.channel import ChannelSpec
from bfly.volumes.volume import Volume
from tests.segments.test_surface import open_edges, volume_of

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (90, 150, 270)
OFFSET = (7, -20, 33)
SIZE = (30.0, 4.0, 4.5)


@pytest.fixture
def voxels() -> np.ndarray:
    z, y, x = np.indices(SHAPE)
    voxels = np.zeros(SHAPE, "u8")
    voxels[(z - 45) ** 2 * 4 + (y - 75) ** 2 + (x - 135) ** 2 / 4 < 3600] = 5
    voxels[20:40, 10:60, 20:250] = 2**63 + 1
    voxels[60:, 100:, :50] = 9
    voxels[5:8, 70:80, 100:110] = 11
    voxels[57:61, 148:, 95:105] = 13  # it begins at (64, 128, 128), where a cell does
    return voxels


@pytest.fixture
def volume(tmp_path: Path, voxels: np.ndarray) -> Volume:
    with h5py.File(tmp_path / "seg.h5", "w") as file:
        file.create_dataset("main", data=voxels, chunks=(32, 64, 64))
    path = str(tmp_path / "seg.h5")
    return Volume.open(ChannelSpec(path, OFFSET, "segmentation", SIZE))


@pytest.fixture
def segments(volume: Volume, tmp_path: Path) -> Segments:
    return Segments(BackgroundIndexes(Indexes(str(tmp_path / "kept"), 1 << 30)).of(volume))


def read_from(volume: Volume, voxels: np.ndarray):
    """Return a reader of any box; a coarser mip has every n-th voxel."""

    def read(mip: int, box: BoundingBox) -> np.ndarray:
        level = volume.level(mip)
        stored = level.read(level.whole, "segmentation", lambda part: voxels[part.slices])
        result = np.zeros(box.shape, voxels.dtype)
        inside = box & level.place
        if inside.size:
            local = inside.relative_to(level.origin)
            result[inside.relative_to(box.start).slices] = stored[local.slices]
        return result

    return read


def expected_box(voxels: np.ndarray, label: int) -> tuple[list[float], list[float]]:
    places = np.argwhere(voxels == label) + OFFSET
    low, high = places.min(axis=0) * SIZE, (places.max(axis=0) + 1) * SIZE
    return low[::-1].tolist(), high[::-1].tolist()


@pytest.mark.parametrize("label", [5, 2**63 + 1, 9, 11, 13])
def test_a_mesh_is_closed_and_in_its_place(
    volume: Volume, segments: Segments, voxels: np.ndarray, label: int
) -> None:
    parts = fragments_of(segments, volume, label)
    meshes = [made(volume, part, read_from(volume, voxels)) for part in parts]
    assert open_edges(meshes) == 0
    vertices = np.concatenate([mesh.vertices for mesh in meshes])
    low, high = expected_box(voxels, label)
    assert vertices.min(axis=0).tolist() == low
    assert vertices.max(axis=0).tolist() == high
    volume_nm = sum(volume_of(Surface(m.vertices[:, ::-1], m.triangles)) for m in meshes)
    count = np.count_nonzero(voxels == label)
    # Edges are rounded, which is much of a few voxels.
    assert volume_nm == pytest.approx(count * np.prod(SIZE), rel=0.1 if count > 100 else 0.2)


def test_a_large_segment_has_a_coarse_mesh(
    volume: Volume, segments: Segments, voxels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fragments, "MOST_VOXELS", 20_000)
    (part, *others) = fragments_of(segments, volume, 5)
    assert part.mip == 3
    meshes = [made(volume, each, read_from(volume, voxels)) for each in (part, *others)]
    assert open_edges(meshes) == 0
    vertices = np.concatenate([mesh.vertices for mesh in meshes])
    low, high = expected_box(voxels, 5)
    assert vertices.min(axis=0) == pytest.approx(low, abs=40)
    assert vertices.max(axis=0) == pytest.approx(high, abs=40)


def test_an_edit_changes_the_fragments_that_it_touches(
    volume: Volume, segments: Segments, voxels: np.ndarray
) -> None:
    before = {part.cell: part.digest for part in fragments_of(segments, volume, 5)}
    edits = ChannelEdits(volume.spec.path, MemoryLog())
    operations = Save.parse({"merge": [["5", "11"]]}).operations
    state = edits.append(lambda current: operations(current, "", None))
    merged = Segments(segments.index, state)
    after = {part.cell: part.digest for part in fragments_of(merged, volume, 5)}
    changed = {cell for cell in after if after[cell] != before.get(cell)}
    touched = {part.cell for part in fragments_of(segments, volume, 11)}
    assert changed == touched
    meshes = [
        made(volume, part, read_from(volume, voxels)) for part in fragments_of(merged, volume, 5)
    ]
    assert open_edges(meshes) == 0


def test_supervoxels_that_meet_at_the_border_of_cells_have_no_wall(
    tmp_path: Path, voxels: np.ndarray
) -> None:
    halves = voxels.copy()
    halves[:, :, 95:][halves[:, :, 95:] == 5] = 6  # 33 + 95 = 128: a border of cells
    with h5py.File(tmp_path / "halves.h5", "w") as file:
        file["main"] = halves
    spec = ChannelSpec(str(tmp_path / "halves.h5"), OFFSET, "segmentation", SIZE)
    volume = Volume.open(spec)
    index = BackgroundIndexes(Indexes(str(tmp_path / "kept"), 1 << 30)).of(volume)
    edits = ChannelEdits(volume.spec.path, MemoryLog())
    operations = Save.parse({"merge": [["5", "6"]]}).operations
    segments = Segments(index, edits.append(lambda current: operations(current, "", None)))
    parts = fragments_of(segments, volume, 5)
    meshes = [made(volume, part, read_from(volume, halves)) for part in parts]
    assert open_edges(meshes) == 0
    volume_nm = sum(volume_of(Surface(m.vertices[:, ::-1], m.triangles)) for m in meshes)
    assert volume_nm == pytest.approx((voxels == 5).sum() * np.prod(SIZE), rel=0.05)


def test_a_segment_without_voxels_has_no_fragments(volume: Volume, segments: Segments) -> None:
    assert fragments_of(segments, volume, 77) == []


def test_the_legacy_format() -> None:
    mesh = Surface(np.array([[1.5, 2, 3], [4, 5, 6], [7, 8, 9]]), np.array([[0, 1, 2]], "u4"))
    data = encoded(mesh)
    assert struct.unpack("<I9f3I", data) == (3, 1.5, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2)
