"""Areas and volumes of meshes beside those of zmesh, on bodies of FIB-25."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest

from bfly.segments.background import BackgroundIndexes
from bfly.segments.fragments import fragments_of, made
from bfly.segments.segments import Segments
from bfly.segments.store import Indexes
from bfly.segments.surface import surface
from bfly.volumes.channel import ChannelSpec
from bfly.volumes.volume import Volume
from tests.fixtures import environments

if TYPE_CHECKING:
    from bfly.geometry import BoundingBox
    from bfly.segments.surface import Surface

BODIES = 50

RADIUS = 36.3


@pytest.fixture(scope="module")
def python(pytestconfig: pytest.Config) -> str:
    return environments.python_with(pytestconfig, "zmesh==1.15.0", alone=True)


def by_zmesh(python: str, voxels: np.ndarray, folder: Path) -> dict[int, tuple[float, float]]:
    np.save(folder / "voxels.npy", voxels)
    script = Path(environments.__file__).with_name("zmesh_areas.py")
    command = [python, str(script), str(folder / "voxels.npy")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {int(label): (area, volume) for label, (area, volume) in json.loads(said).items()}


def area_and_volume(mesh: Surface) -> np.ndarray:
    a, b, c = mesh.vertices[mesh.triangles].transpose(1, 0, 2)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2
    # Vertices may be z, y, x: then the sign is the other one.
    return np.array([area, (a * np.cross(b, c)).sum() / 6])


def test_fifty_bodies_have_the_areas_and_volumes_of_zmesh(
    python: str, fib25: Path, tmp_path: Path
) -> None:
    with h5py.File(fib25 / "groundtruth.h5") as file:
        stack, pairs = file["stack"][:], file["transforms"][:]
    lookup = np.zeros(stack.max() + 1, "u4")
    lookup[pairs[:, 0]] = pairs[:, 1]
    voxels = lookup[stack]
    path = str(tmp_path / "bodies.h5")
    with h5py.File(path, "w") as file:
        file.create_dataset("main", data=voxels, chunks=(64, 64, 64))
    volume = Volume.open(ChannelSpec(path, (0, 0, 0), "segmentation", (1.0, 1.0, 1.0)))
    index = BackgroundIndexes(Indexes(str(tmp_path / "kept"), 1 << 30)).of(volume)
    bodies = index.largest(0, BODIES)["label"]

    def read(_mip: int, box: BoundingBox) -> np.ndarray:
        result = np.zeros(box.shape, voxels.dtype)
        inside = box & volume.level(0).place
        result[inside.relative_to(box.start).slices] = voxels[inside.slices]
        return result

    z, y, x = np.indices((90, 90, 90))
    ball = (z - 45) ** 2 + (y - 44.6) ** 2 + (x - 45.2) ** 2 < RADIUS**2
    of_ball = area_and_volume(surface(np.pad(ball, 1)))[0] / (4 * np.pi * RADIUS**2)
    ((theirs_of_ball, _),) = by_zmesh(python, ball.astype("u4"), tmp_path).values()
    theirs_of_ball /= 4 * np.pi * RADIUS**2
    # Steps of voxels have more area than what they stand for: marching cubes keep more of it.
    assert 1 < of_ball < 1.04 < theirs_of_ball
    reference = by_zmesh(python, np.where(np.isin(voxels, bodies), voxels, 0), tmp_path)
    for body in bodies.tolist():
        parts = fragments_of(Segments(index), volume, body)
        area, size = sum(area_and_volume(made(volume, part, read)) for part in parts)
        their_area, their_size = reference[body]
        assert size == pytest.approx(their_size, rel=0.05)
        assert area / of_ball == pytest.approx(their_area / theirs_of_ball, rel=0.05)
