"""Meshes of several resolutions of a job: exact, closed at each level, only what is missing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from bfly.edits.channel import ChannelEdits
from bfly.edits.log import MemoryLog
from bfly.edits.message import Save
from bfly.errors import Busy, SourceChanged, SourceError
from bfly.jobs.mesh_plans import MeshJobs, named
from bfly.jobs.mesh_shards import finish, pieces, put_together
from bfly.jobs.meshes import do, piece_path
from bfly.jobs.pyramid import Task
from bfly.segments import node_grid
from bfly.segments.background import BackgroundIndexes
from bfly.segments.mesh_store import MeshStore
from bfly.segments.segments import members_of
from bfly.segments.store import Indexes
from bfly.segments.surface import Surface
from bfly.volumes.channel import ChannelSpec
from tests.fixtures.multires import Decoded, decoded
from tests.segments.test_surface import open_edges, volume_of

if TYPE_CHECKING:
    from pathlib import Path

    from bfly.edits.state import EditState
    from bfly.jobs.meshes import MeshJob

SHAPE = (80, 140, 540)
OFFSET = (7, -20, 33)
SIZE = (8.0, 4.0, 4.5)
BALL, BOX, CORNER, DOT, HALF = 5, 2**63 + 1, 9, 11, 2**53 + 1


@pytest.fixture
def voxels() -> np.ndarray:
    z, y, x = np.indices(SHAPE)
    voxels = np.zeros(SHAPE, "u8")
    voxels[(z - 40) ** 2 * 4 + (y - 70) ** 2 + (x - 390) ** 2 / 4 < 60**2] = BALL
    # Its faces at x of 64 and 448 in the dataset are on borders of nodes.
    voxels[20:40, 10:60, 31:415] = BOX
    voxels[40:, 100:, :50] = CORNER
    voxels[5:8, 70:80, 100:110] = DOT
    voxels[:, 130:, 60:] = HALF
    return voxels


class Channel:
    """A channel, and jobs for it."""

    def __init__(self, folder: Path, voxels: np.ndarray) -> None:
        self.path = str(folder / "seg.h5")
        self.write(voxels)
        self.kept = str(folder / "kept")
        self.edits = ChannelEdits(self.path, MemoryLog())
        self.store = MeshStore(self.kept)
        self.done: list[Any] = []

    def write(self, voxels: np.ndarray) -> None:
        with h5py.File(self.path, "w") as file:
            file.create_dataset("main", data=voxels, chunks=(32, 64, 64))

    def merge(self, *ids: int) -> None:
        operations = Save.parse({"merge": [[str(one) for one in ids]], "split": []}).operations
        self.edits.append(lambda current: operations(current, "", None))

    @property
    def state(self) -> EditState:
        return self.edits.state

    def jobs(self, *ids: int, is_sharded: bool = False) -> MeshJobs:
        spec = ChannelSpec(self.path, OFFSET, "segmentation", SIZE)
        task = Task(spec, (os.sep,), 1 << 20, self.kept, 1 << 30)
        self.volume = task.open()
        folder = self.store.channel(self.volume)
        assert folder is not None
        named_ids = named(self.state, np.array(ids, np.uint64)).tolist()
        return MeshJobs(self.store, folder, task, tuple(named_ids), is_sharded)

    def plan(self, jobs: MeshJobs) -> MeshJob | None:
        index = BackgroundIndexes(Indexes(self.kept, 1 << 30)).of(self.volume)
        return jobs.new(self.volume, index, self.state)

    def run(self, *ids: int, is_sharded: bool = False) -> MeshJob | None:
        job = self.plan(self.jobs(*ids, is_sharded=is_sharded))
        if job is not None:
            self.work(job)
        return job

    def work(self, job: MeshJob) -> None:
        for piece in pieces(job):
            self.done.append(piece)
            do(job, piece)
        for shard in range(1 << job.sharding.shard_bits):
            put_together(job, shard)
        finish(job)

    def bytes_of(self, segment: int) -> tuple[bytes, bytes] | None:
        found = self.store.find(self.volume, segment, members_of(self.state, segment))
        return (found.index, found.read(0, found.size)) if found else None

    def mesh(self, segment: int) -> Decoded:
        found = self.bytes_of(segment)
        assert found is not None
        return decoded(*found)


@pytest.fixture
def channel(tmp_path: Path, voxels: np.ndarray) -> Channel:
    return Channel(tmp_path, voxels)


def volume_nm(parts: list[Surface]) -> float:
    return sum(map(volume_of, parts))


def test_meshes_are_closed_and_in_their_place_at_each_level(
    channel: Channel, voxels: np.ndarray
) -> None:
    channel.run()
    for segment in (BALL, BOX, CORNER, DOT, HALF):
        mesh = channel.mesh(segment)
        places = np.argwhere(voxels == segment) + OFFSET
        low, high = places.min(axis=0) * SIZE, (places.max(axis=0) + 1) * SIZE
        size = len(places) * np.prod(SIZE)
        for level, factor in enumerate(([1, 1, 1], [1, 2, 2], [2, 4, 4])[: len(mesh.levels)]):
            parts = mesh.parts(level)
            assert open_edges(parts) == 0
            vertices = np.concatenate([part.vertices for part in parts])
            # Half a step of a 65535th of a node, and half a voxel of the mip in coarser ones.
            step = mesh.shape * 2**level / (2**16 - 1)
            near = step / 2 + 1e-6 + (np.array(factor) * SIZE if level else 0)
            assert (abs(vertices.min(axis=0) - low) <= near).all()
            assert (abs(vertices.max(axis=0) - high) <= near).all()
            rest = 0.3 if segment == DOT or level else 0.05
            assert volume_nm(parts) == pytest.approx(size, rel=rest)
    assert [len(channel.mesh(one).levels) for one in (HALF, BALL, DOT)] == [3, 2, 1]
    assert channel.mesh(HALF).scales == pytest.approx([18**0.5, 2 * 18**0.5, 4 * 18**0.5])


def test_no_triangle_crosses_the_middle_of_its_node(channel: Channel) -> None:
    channel.run(BALL, HALF)
    for segment in (BALL, HALF):
        mesh = channel.mesh(segment)
        assert len(mesh.levels) > 1
        for level, parts in enumerate(mesh.levels):
            for node, part in parts.items():
                assert (
                    level + 1 == len(mesh.levels)
                    or tuple(i // 2 for i in node) in mesh.levels[level + 1]
                )
                if level == 0 or part is None:
                    continue
                # Neuroglancer divides at 2^15, which belongs to both sides.
                corners = part.raw[part.mesh.triangles] - 2**15
                assert ((corners >= 0).all(axis=1) | (corners <= 0).all(axis=1)).all()
                for upper in np.unique((corners.max(axis=1) > 0).astype(int), axis=0):
                    assert tuple(np.array(node) * 2 + upper) in mesh.levels[level - 1]


def test_a_part_that_coarse_levels_lack_is_an_empty_node(
    channel: Channel, voxels: np.ndarray
) -> None:
    voxels[40, 70, :400] = BALL  # a thread that no voxel of mip 1 has
    channel.write(voxels)
    channel.run(BALL)
    levels = channel.mesh(BALL).levels
    first = min(levels[0], key=lambda node: node[2])
    z, y, x = first
    assert x == 0
    assert levels[0][first] is not None
    assert levels[1][z // 2, y // 2, 0] is None
    assert open_edges(channel.mesh(BALL).parts(0)) == 0


def test_sharded_and_unsharded_are_equal(channel: Channel) -> None:
    segments = (BALL, BOX, CORNER, DOT, HALF)
    job = channel.run()
    assert job is not None
    plain = [channel.bytes_of(one) for one in segments]
    assert os.path.exists(f"{job.folder}/{BALL}.index")
    for name in os.listdir(job.folder):
        os.unlink(f"{job.folder}/{name}")
    channel.store = MeshStore(channel.kept)
    job = channel.run(is_sharded=True)
    assert job is not None
    assert [channel.bytes_of(one) for one in segments] == plain
    assert sorted(os.listdir(job.folder))[0] == "0.shard"
    assert not os.path.exists(f"{job.folder}/{BALL}")


def test_many_shards_and_minishards(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    channel.run()
    plain = {one: channel.bytes_of(one) for one in (BALL, BOX, CORNER, DOT, HALF)}
    monkeypatch.setattr("bfly.segments.shard_writer.FRAGMENTS_OF_A_SHARD", 24)
    monkeypatch.setattr("bfly.segments.shard_writer.IDS_OF_A_MINISHARD", 1)
    channel.kept += "-more"
    channel.store = MeshStore(channel.kept)
    job = channel.run(is_sharded=True)
    assert job is not None
    assert min(job.sharding) > 0
    assert len([name for name in os.listdir(job.folder) if name.endswith(".shard")]) > 1
    assert {one: channel.bytes_of(one) for one in plain} == plain


def test_an_edit_makes_only_its_segments_anew(channel: Channel, voxels: np.ndarray) -> None:
    channel.run()
    assert channel.run() is None
    before = channel.bytes_of(CORNER)
    channel.merge(DOT, BOX)
    assert channel.bytes_of(BOX) is None
    assert channel.bytes_of(DOT) is None
    assert channel.bytes_of(CORNER) == before
    channel.done = []
    job = channel.run()
    assert job is not None
    touched = {tuple(piece[1:]) for piece in channel.done if piece[0] == 0}
    assert 0 < len(touched) < 2 * 2 * 5
    name = int(channel.state.table()[1][0])
    places = np.argwhere((voxels == DOT) | (voxels == BOX))
    found = volume_nm(channel.mesh(name).parts(0))
    assert found == pytest.approx(len(places) * np.prod(SIZE), rel=0.05)
    assert open_edges(channel.mesh(name).parts(0)) == 0
    assert channel.bytes_of(CORNER) == before
    assert channel.run() is None


def test_supervoxels_that_meet_have_no_wall(channel: Channel, voxels: np.ndarray) -> None:
    halves = voxels.copy()
    halves[:, :, 351:][halves[:, :, 351:] == BALL] = 6  # 33 + 351 = 384: a border of nodes
    channel.write(halves)
    channel.merge(BALL, 6)
    channel.run(6)
    name = int(channel.state.table()[1][0])
    for level in range(2):
        parts = channel.mesh(name).parts(level)
        assert open_edges(parts) == 0
        expected = (voxels == BALL).sum() * np.prod(SIZE)
        assert volume_nm(parts) == pytest.approx(expected, rel=0.05)
        # Without a wall there are no triangles in the plane but those that the surface needs.
        flat = [
            (part.vertices[part.triangles][:, :, 2] == 384 * SIZE[2]).all(axis=1) for part in parts
        ]
        assert sum(each.sum() for each in flat) < 100


def test_a_job_of_some_segments_is_added_to(channel: Channel) -> None:
    channel.run(DOT)
    assert channel.bytes_of(DOT)
    assert channel.bytes_of(BALL) is None
    dot = channel.bytes_of(DOT)
    assert channel.run(DOT) is None
    channel.run()
    assert channel.bytes_of(DOT) == dot
    assert channel.bytes_of(BALL)
    assert len(channel.store.jobs(channel.store.channel(channel.volume))) == 2


def test_a_begun_job_goes_on_with_the_segments_of_its_start(channel: Channel) -> None:
    jobs = channel.jobs()
    job = channel.plan(jobs)
    assert job is not None
    first, *_ = pieces(job)
    do(job, first)
    kept = os.stat(piece_path(job, first)).st_mtime_ns
    channel.merge(DOT, BOX)
    begun = channel.jobs().begun()
    assert begun == job
    assert channel.jobs(DOT).begun() is None
    do(begun, first)
    assert os.stat(piece_path(job, first)).st_mtime_ns == kept
    assert channel.bytes_of(BALL) is None
    with open(f"{job.folder}/.{BALL}-draft", "wb") as file:
        file.write(b"of a process that was killed")
    channel.work(begun)
    assert not [name for name in os.listdir(job.folder) if not name[0].isalnum()]
    assert channel.bytes_of(BALL)
    assert channel.bytes_of(BOX) is None
    assert channel.run() is not None
    assert channel.bytes_of(int(channel.state.table()[1][0]))


def test_a_job_without_a_plan_is_removed(channel: Channel) -> None:
    jobs = channel.jobs()
    job = channel.plan(jobs)
    assert job is not None
    os.unlink(f"{job.folder}/plan.json")
    assert channel.jobs().begun() is None
    assert not os.path.exists(job.folder)


def test_a_changed_file_has_no_meshes(channel: Channel, voxels: np.ndarray) -> None:
    with channel.jobs(DOT).held(channel.volume):
        channel.run(DOT)
    voxels[:10] = 0
    channel.write(voxels)
    former = channel.store.channel(channel.volume)
    jobs = channel.jobs()
    assert channel.bytes_of(DOT) is None
    assert not channel.store.has_job(channel.volume)
    with jobs.held(channel.volume):
        assert os.path.isdir(jobs.channel)
    assert former is not None
    assert not os.path.exists(former)


def test_a_file_that_changes_during_a_job_ends_it(channel: Channel, voxels: np.ndarray) -> None:
    job = channel.plan(channel.jobs(DOT))
    assert job is not None
    for piece in pieces(job):
        do(job, piece)
    channel.write(voxels // 2)
    for work in (lambda: put_together(job, 0), lambda: finish(job)):
        with pytest.raises(SourceChanged, match="changed since its meshes were begun"):
            work()


def test_two_processes_do_not_work_on_a_channel(channel: Channel) -> None:
    jobs, volume = channel.jobs(), channel.volume
    message = "Another bfly mesh works on"
    with jobs.held(volume), pytest.raises(Busy, match=message), jobs.held(volume):
        pass


def test_damaged_meshes_are_said(channel: Channel) -> None:
    job = channel.run()
    assert job is not None
    os.truncate(f"{job.folder}/{BALL}", 100)
    with pytest.raises(SourceError, match="is damaged: it ends before byte"):
        channel.bytes_of(BALL)
    os.unlink(f"{job.folder}/{BOX}.index")
    with pytest.raises(SourceError, match="cannot be read"):
        channel.bytes_of(BOX)
    os.unlink(f"{job.folder}/info")
    channel.store = MeshStore(channel.kept)
    with pytest.raises(SourceError, match=r"The meshes in .* cannot be read"):
        channel.bytes_of(DOT)


def test_levels_end_before_a_node_has_too_many_voxels(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_grid, "MOST_CELLS", 1)
    channel.run(BALL)
    assert len(channel.mesh(BALL).levels) == 1
