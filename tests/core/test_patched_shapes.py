"""Meshes and skeletons after patches: as of a file with the patched voxels, and made once."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bfly.core.core import Core
from bfly.databases.nodb import Nodb
from bfly.errors import Absent, ButterflyError
from bfly.queries.mesh import MeshQuery
from bfly.queries.mesh_file import MeshFileQuery
from bfly.queries.multires import MultiresQuery
from bfly.queries.segments import SegmentsQuery
from bfly.queries.skeleton import SkeletonQuery
from bfly.segments import fragments
from tests.core.test_patched_labels import (
    OFFSET,
    labels,
    runtime_with,
    small_cells,
    words,
    written,
)
from tests.fixtures.patching import Patching

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["small_cells"]

CUBE = (slice(8, 12), slice(16, 20), slice(12, 16))


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[str], Core]]:
    """Make cores, each with its own folder of what is kept."""
    cores = []

    def made(name: str) -> Core:
        cores.append(Core(Nodb("", runtime_with(tmp_path / name))))
        return cores[-1]

    yield made
    for core in cores:
        core.close()


def mesh(core: Core, path: str, segment: int, mip: int, which: str = "segments") -> bytes:
    query = MeshFileQuery(**words(path, name="seg", id=segment, mip=mip, labels=which))
    return b"".join(core.meshes.file(query))


def skeleton(core: Core, path: str, segment: int) -> bytes:
    return core.skeletons.text(SkeletonQuery(**words(path, id=segment, format="json")))


def outcome(call: Callable[..., bytes], *given: Any) -> bytes | str:
    try:
        return call(*given)
    except Absent as error:
        return str(type(error))


@pytest.mark.usefixtures("small_cells")
@pytest.mark.parametrize("seed", range(4))
def test_shapes_are_those_of_a_file_with_the_patched_voxels(
    seed: int, make: Callable[[str], Core], tmp_path: Path
) -> None:
    random = np.random.default_rng(seed)
    voxels = labels(random)
    path = written(tmp_path / "seg.h5", voxels)
    core, other = make("kept"), make("other")
    edits = Patching(core.edits.channel(path), voxels)
    for number in range(6):
        try:
            edits.random(random)
        except ButterflyError:
            continue
        shown, patched = edits.shown(), edits.patched()
        plain = written(tmp_path / f"plain-{number}.h5", shown.astype("u4"))
        for segment in np.unique(shown[shown > 0]).tolist()[:6]:
            assert mesh(core, path, segment, 0) == mesh(other, plain, segment, 0)
            assert skeleton(core, path, segment) == skeleton(other, plain, segment)
        # Coarse mips are those of supervoxels.
        plain = written(tmp_path / f"patched-{number}.h5", patched)
        for one in np.unique(patched[patched > 0]).tolist()[:6]:
            for mip in (1, 2):
                expected = outcome(mesh, other, plain, one, mip)
                assert outcome(mesh, core, path, one, mip, "patched") == expected


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[fragments.Fragment]:
    """Return a list to which each fragment that is computed is added."""
    done: list[fragments.Fragment] = []

    def counting(volume: Any, fragment: fragments.Fragment, read: Any) -> Any:
        done.append(fragment)
        return fragments.made(volume, fragment, read)

    monkeypatch.setattr("bfly.core.mesh_answers.made", counting)
    return done


def names(core: Core, path: str, segment: int) -> set[str]:
    """Ask for all fragments of a segment, as viewers do; return their names."""
    query = MeshQuery(**words(path, file=f"mesh/{segment}:0"))
    listed = json.loads(core.meshes.answer(query))["fragments"]
    for name in listed:
        core.meshes.answer(MeshQuery(**words(path, file=f"mesh/{name}")))
    return set(listed)


@pytest.mark.usefixtures("small_cells")
def test_only_the_fragments_that_a_patch_touches_are_made_anew(
    make: Callable[[str], Core], tmp_path: Path, counted: list[fragments.Fragment]
) -> None:
    voxels = np.ones((16, 36, 32), "u4")
    voxels[:, :4] = 2
    path = written(tmp_path / "seg.h5", voxels)
    core = make("kept")
    edits = Patching(core.edits.channel(path), voxels)
    before, second = names(core, path, 1), names(core, path, 2)
    assert len(counted) == len(before | second)
    counted.clear()
    edits.paint(CUBE, None)
    after = names(core, path, 1)
    # A cube in the middle of one cell, beside two others of the grid along each axis.
    places = {re.sub("-[0-9a-f]+$", "", name) for name in before}
    assert {re.sub("-[0-9a-f]+$", "", name) for name in after} == places
    made = {fragment.cell for fragment in counted}
    assert len(counted) == len(after - before) == len(made)
    assert len(after & before) > 2 * len(made) > 0
    low, high = np.array([4, 9, 8]), np.array(voxels.shape)
    for cell in made:
        start = np.array(cell) * low - OFFSET
        assert (start - 1 < [along.stop for along in CUBE]).all()
        assert (start + low + 1 > [along.start for along in CUBE]).all()
    assert (low < high).all()
    counted.clear()
    assert names(core, path, 2) == second
    assert names(core, path, int(edits.state.patches.last))
    assert all(int(edits.state.patches.last) in fragment.members for fragment in counted)
    counted.clear()
    edits.undo(1)
    assert (names(core, path, 1), names(core, path, 2)) == (before, second)
    edits.redo(1)
    assert names(core, path, 1) == after
    assert not counted


@pytest.mark.usefixtures("small_cells")
def test_an_untouched_skeleton_is_kept(
    make: Callable[[str], Core], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voxels = np.ones((16, 36, 32), "u4")
    voxels[:, :9] = 2
    path = written(tmp_path / "seg.h5", voxels)
    core, done = make("kept"), []
    from bfly.core import skeleton_answers

    make_skeleton = skeleton_answers.make_skeleton

    def counting(volume: Any, index: Any, members: Any, read: Any) -> Any:
        done.append(members.tolist())
        return make_skeleton(volume, index, members, read)

    monkeypatch.setattr(skeleton_answers, "make_skeleton", counting)
    edits = Patching(core.edits.channel(path), voxels)
    first = [skeleton(core, path, each) for each in (1, 2)]
    edits.paint((slice(4, 10), slice(20, 30), slice(4, 10)), 0)
    assert skeleton(core, path, 2) == first[1]
    assert skeleton(core, path, 1) != first[0]
    assert done == [[1], [2], [1]]
    edits.undo(1)
    assert [skeleton(core, path, each) for each in (1, 2)] == first
    assert done == [[1], [2], [1]]


@pytest.mark.usefixtures("small_cells")
def test_a_mesh_of_several_resolutions_follows(make: Callable[[str], Core], tmp_path: Path) -> None:
    voxels = np.ones((16, 36, 32), "u4")
    path = written(tmp_path / "seg.h5", voxels)
    core = make("kept")

    def index() -> bytes:
        query = MultiresQuery(**words(path, file="multires/1.index"))
        return bytes(core.multires.answer(query))

    pytest.importorskip("DracoPy")
    edits = Patching(core.edits.channel(path), voxels)
    first = index()
    edits.paint(CUBE, None)
    assert index() != first
    edits.undo(1)
    assert index() == first


def test_facts_of_the_patched_are_in_the_list(make: Callable[[str], Core], tmp_path: Path) -> None:
    """With cells of the usual size, and the length of a kept skeleton."""
    voxels = np.ones((40, 200, 200), "u4")
    path = written(tmp_path / "seg.h5", voxels)
    core = make("kept")
    edits = Patching(core.edits.channel(path), voxels)
    edits.paint((slice(10, 20), slice(100, 150), slice(100, 190)), None)
    new = int(edits.state.patches.last)
    skeleton(core, path, new)
    about = words(path, name="seg", labelled=(path,), voxel_size=(10, 10, 10))
    skeleton_of = SkeletonQuery(**words(path, id=new, format="json", voxel_size=(10, 10, 10)))
    length = json.loads(core.skeletons.text(skeleton_of))["cable_length_um"]
    rows = core.segments.answer(SegmentsQuery(**about)).splitlines()
    one, two = (json.loads(row) for row in rows)
    assert (one["id"], one["voxels"]) == (1, voxels.size - 45_000)
    assert (two["id"], two["voxels"]) == (new, 45_000)
    assert (two["x_low"], two["x_high"]) == (100 + OFFSET[2], 190 + OFFSET[2])
    assert two["cable_length_um"] == pytest.approx(length)
    assert one["cable_length_um"] is None
