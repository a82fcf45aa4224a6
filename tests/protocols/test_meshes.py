"""Meshes that are computed on demand, over HTTP: CloudVolume reads them, edits change a few."""

from __future__ import annotations

import json
import struct
import time
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from cloudvolume import CloudVolume
from websockets.sync.client import connect

from bfly.core import mesh_answers
from bfly.segments.surface import Surface
from tests.fixtures.labels import served_labels
from tests.segments.test_surface import open_edges, volume_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

    from bfly.segments.fragments import Fragment
    from bfly.volumes.volume import Volume

SHAPE = (80, 200, 300)
SIZE = (40, 8, 8)
OFFSET = (10, 20, 30)

PRE = "/pre/e/s/d/seg"

# CloudVolume warns of things of its own.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def voxels() -> np.ndarray:
    z, y, x = np.indices(SHAPE)
    voxels = np.zeros(SHAPE, "u8")
    voxels[(z - 40) ** 2 * 9 + (y - 100) ** 2 + (x - 140) ** 2 < 80**2] = 7
    voxels[:, 190:, :40] = 2**40 + 1
    voxels[2:4, 2:4, 280:] = 9
    return voxels


@pytest.fixture
def client(tmp_path: Path, voxels: np.ndarray, serve: Callable[..., Any]) -> Iterator[httpx.Client]:
    place = {"voxel_offset": OFFSET, "voxel_size": SIZE}
    with served_labels(tmp_path, voxels, serve, **place) as client:
        yield client


def fragments(client: httpx.Client, segment: int) -> list[str]:
    answer = client.get(f"{PRE}/mesh/{segment}:0")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    found: list[str] = answer.json()["fragments"]
    return found


def decoded(data: bytes) -> Surface:
    (count,) = struct.unpack_from("<I", data)
    vertices = np.frombuffer(data, "<f4", 3 * count, 4).reshape(-1, 3)
    triangles = np.frombuffer(data, "<u4", offset=4 + vertices.nbytes).reshape(-1, 3)
    return Surface(vertices, triangles)


def mesh_of(client: httpx.Client, segment: int) -> list[Surface]:
    answers = [client.get(f"{PRE}/mesh/{name}") for name in fragments(client, segment)]
    assert {answer.status_code for answer in answers} == {200}
    return [decoded(answer.content) for answer in answers]


def merge(client: httpx.Client, *segments: int) -> None:
    with connect(f"{client.base_url}/ws/e::s::d/seg".replace("http", "ws")) as socket:
        socket.recv()
        ids = [str(segment) for segment in segments]
        socket.send(json.dumps({"action": "save", "merge": [ids], "split": []}))
        assert json.loads(socket.recv())["error"] == ""


def test_the_info_names_the_meshes_of_labels_only(client: httpx.Client) -> None:
    assert client.get(f"{PRE}/info").json()["mesh"] == "mesh"
    assert client.get(f"{PRE}/mesh/info").json() == {"@type": "neuroglancer_legacy_mesh"}
    assert "mesh" not in client.get("/pre/e/s/d/em/info").json()


def test_a_mesh_is_closed_and_where_the_segment_is(
    client: httpx.Client, voxels: np.ndarray
) -> None:
    for segment in (7, 2**40 + 1, 9):
        meshes = mesh_of(client, segment)
        assert open_edges(meshes) == 0
        places = np.argwhere(voxels == segment) + OFFSET
        vertices = np.concatenate([mesh.vertices for mesh in meshes])
        assert (vertices.min(axis=0)[::-1] == places.min(axis=0) * SIZE).all()
        assert (vertices.max(axis=0)[::-1] == (places.max(axis=0) + 1) * SIZE).all()
        turned = [Surface(m.vertices[:, ::-1].astype(float), m.triangles) for m in meshes]
        # Edges are rounded, which is much of a few voxels.
        rest = 0.1 if len(places) > 1000 else 0.3
        assert sum(map(volume_of, turned)) == pytest.approx(len(places) * np.prod(SIZE), rel=rest)


def test_cloudvolume_reads_it(client: httpx.Client) -> None:
    url = f"precomputed://{str(client.base_url).rstrip('/')}{PRE}"
    found = CloudVolume(url, progress=False).mesh.get(7)
    mesh = found[7] if isinstance(found, dict) else found
    count = sum(len(part.triangles) for part in mesh_of(client, 7))
    assert len(mesh.faces) == count > 10_000


def test_an_edit_changes_only_the_fragments_that_it_touches(client: httpx.Client) -> None:
    before = fragments(client, 7)
    merge(client, 7, 9)
    after = fragments(client, 7)
    assert 1 <= len(set(after) - set(before)) <= 2 < len(before)
    assert open_edges(mesh_of(client, 7)) == 0


def test_only_fragments_that_an_edit_touches_are_computed(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[Fragment] = []

    def count(volume: Volume, fragment: Fragment, read: Any) -> Surface:
        computed.append(fragment)
        return made(volume, fragment, read)

    made = mesh_answers.made
    monkeypatch.setattr(mesh_answers, "made", count)
    before = mesh_of(client, 7)
    assert len(computed) == len(before) > 4
    computed.clear()
    merge(client, 7, 9)
    after = mesh_of(client, 7)
    assert 1 <= len(computed) <= 2 < len(after)
    assert open_edges(after) == 0
    computed.clear()
    client.get("/api/mesh?experiment=e&sample=s&dataset=d&channel=seg&id=7")
    assert not computed  # a file has the fragments that viewers have


def test_no_fragment_of_a_former_file_is_served(client: httpx.Client, tmp_path: Path) -> None:
    before = {name: client.get(f"{PRE}/mesh/{name}").content for name in fragments(client, 7)}
    path = tmp_path / "data" / "seg.h5"
    with h5py.File(path, "r+") as file:
        stored = file["main"][:]
        file["main"][:, :, 1:] = stored[:, :, :-1]
    for _ in range(100):
        answer = client.get(f"{PRE}/mesh/7:0")
        if answer.status_code == 200 and answer.json()["fragments"] != list(before):
            break
        time.sleep(0.1)
    shifted = mesh_of(client, 7)
    assert open_edges(shifted) == 0
    lowest = min(mesh.vertices[:, 0].min() for mesh in shifted if len(mesh.vertices))
    assert lowest == min(decoded(data).vertices[:, 0].min() for data in before.values()) + SIZE[2]
    for name, data in before.items():
        answer = client.get(f"{PRE}/mesh/{name}")
        assert (
            answer.status_code == 404 or answer.content != data or not decoded(data).vertices.size
        )


def test_a_changed_file_has_other_meshes(client: httpx.Client, tmp_path: Path) -> None:
    before = mesh_of(client, 9)
    with h5py.File(tmp_path / "data" / "seg.h5", "r+") as file:
        file["main"][2:4, 2:4, 290:] = 0
    last = max(mesh.vertices[:, 0].max() for mesh in before)
    for _ in range(100):
        if mesh_of(client, 9)[0].vertices[:, 0].max() < last:
            return
        time.sleep(0.1)
    raise AssertionError("the mesh is that of the former file")


@pytest.mark.parametrize(
    ("file", "status", "said"),
    [
        ("mesh/8:0", 404, "There is no segment 8 in"),
        (f"mesh/{2**64}:0", 404, f"There is no segment {2**64} in"),
        ("mesh/7:0-0-0-0-0123456789abcdef", 404, "has no such fragment, or no longer"),
        ("mesh/nothing", 404, "There is no /mesh/nothing in a volume"),
        ("mesh/../info", 404, ""),
    ],
)
def test_what_is_not_there(client: httpx.Client, file: str, status: int, said: str) -> None:
    answer = client.get(f"{PRE}/{file}")
    assert answer.status_code == status or said == ""
    assert said in answer.text


def test_an_image_has_no_meshes(client: httpx.Client) -> None:
    assert client.get("/pre/e/s/d/em/mesh/info").status_code == 404
    answer = client.get("/pre/e/s/d/em/mesh/7:0")
    assert answer.status_code == 400
    assert "is an image; only a segmentation has segments" in answer.text
