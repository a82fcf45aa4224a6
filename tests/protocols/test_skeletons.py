"""Skeletons that are computed on demand, over HTTP: as files, as SWC, and after edits."""

from __future__ import annotations

import json
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pyarrow as pa
import pytest
from cloudvolume import CloudVolume
from websockets.sync.client import connect

import bfly.segments.skeletons
from bfly.butterfly import runtime_of
from bfly.config.config import Config
from bfly.databases.sqlite import Sqlite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

SHAPE = (60, 200, 300)
SIZE = (40, 16, 16)
OFFSET = (10, 20, 30)

PRE = "/pre/e/s/d/seg"
AT = {"experiment": "e", "sample": "s", "dataset": "d", "channel": "seg"}

SYNAPSES = {
    "neuron_1": [7, 9, 7],
    "neuron_2": [9, 7, 7],
    "synapse_center": {"z": [40, 42, 38], "y": [120, 122, 118], "x": [80, 300, 200]},
}

# CloudVolume warns of things of its own.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def voxels() -> np.ndarray:
    z, y, x = np.indices(SHAPE)
    voxels = np.zeros(SHAPE, "u8")
    voxels[(z - 30) ** 2 * 6 + (y - 100) ** 2 < 12**2] = 7
    voxels[(z - 30) ** 2 * 6 + (x - 150) ** 2 < 10**2] = 7
    voxels[5:8, 180:190, 20:280] = 2**40 + 1
    voxels[2:4, 2:4, 280:] = 9
    return voxels


@pytest.fixture
def client(tmp_path: Path, voxels: np.ndarray, serve: Callable[..., Any]) -> Iterator[httpx.Client]:
    folder = tmp_path / "data"
    folder.mkdir()
    for name, stored in (("seg", voxels), ("em", voxels.astype("f4"))):
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file.create_dataset("main", data=stored, chunks=(16, 64, 64))
    (folder / "synapse-connections.json").write_text(json.dumps(SYNAPSES))
    place = {"voxel_offset": OFFSET, "voxel_size": SIZE}
    channels = [
        {"name": "seg", "path": str(folder / "seg.h5"), "kind": "segmentation", **place},
        {"name": "em", "path": str(folder / "em.h5")},
    ]
    dataset = {"name": "d", "path": str(folder), "channels": channels}
    tree = [{"name": "e", "samples": [{"name": "s", "datasets": [dataset]}]}]
    pyramid = {"folder": str(tmp_path / "kept")}
    config = Config.parse({"bfly": {"experiments": tree, "pyramid": pyramid}}, "test.yaml")
    with serve(config, Sqlite(str(tmp_path / "bfly.db"), runtime_of(config))) as client:
        yield client


def skeleton(client: httpx.Client, segment: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return vertices (x, y, z), edges and radii."""
    answer = client.get(f"{PRE}/skeletons/{segment}")
    assert answer.status_code == 200, answer.text
    count, edges = struct.unpack_from("<II", answer.content)
    assert len(answer.content) == 8 + 16 * count + 8 * edges
    vertices = np.frombuffer(answer.content, "<f4", 3 * count, 8).reshape(-1, 3)
    pairs = np.frombuffer(answer.content, "<u4", 2 * edges, 8 + 12 * count).reshape(-1, 2)
    return vertices, pairs, np.frombuffer(answer.content, "<f4", count, 8 + 12 * count + 8 * edges)


def merge(client: httpx.Client, *segments: int) -> None:
    with connect(f"{client.base_url}/ws/e::s::d/seg".replace("http", "ws")) as socket:
        socket.recv()
        ids = [str(segment) for segment in segments]
        socket.send(json.dumps({"action": "save", "merge": [ids], "split": []}))
        assert json.loads(socket.recv())["error"] == ""


def test_the_info_names_the_skeletons_of_labels_only(client: httpx.Client) -> None:
    assert client.get(f"{PRE}/info").json()["skeletons"] == "skeletons"
    info = client.get(f"{PRE}/skeletons/info").json()
    assert info["@type"] == "neuroglancer_skeletons"
    assert info["vertex_attributes"] == [
        {"id": "radius", "data_type": "float32", "num_components": 1}
    ]
    assert "skeletons" not in client.get("/pre/e/s/d/em/info").json()
    assert client.get("/pre/e/s/d/em/skeletons/info").status_code == 404


def test_without_scipy_no_skeletons_are_offered_and_it_is_said(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bfly.core.skeleton_answers.find_spec", lambda name: None)
    monkeypatch.setitem(__import__("sys").modules, "bfly.segments.skeleton", None)
    assert "skeletons" not in client.get(f"{PRE}/info").json()
    answer = client.get(f"{PRE}/skeletons/7")
    assert answer.status_code == 503
    assert "pip install 'bfly[skeletons]'" in answer.text


def test_a_skeleton_is_in_its_segment_where_the_segment_is(
    client: httpx.Client, voxels: np.ndarray
) -> None:
    for segment, trees in ((7, 1), (2**40 + 1, 1), (9, 1)):
        vertices, edges, radii = skeleton(client, segment)
        assert len(np.unique(edges[:, 1])) == len(edges) == len(vertices) - trees
        assert (edges[:, 0] < edges[:, 1]).all()
        places = np.floor(vertices[:, ::-1] / SIZE).astype(int) - OFFSET
        around = np.pad(voxels == segment, 1)
        near = [around[z : z + 3, y : y + 3, x : x + 3].any() for z, y, x in places]
        assert all(near)
        assert (radii > 0).all()
    vertices, _, radii = skeleton(client, 7)
    assert np.ptp(vertices[:, 0]) == pytest.approx(300 * 16, rel=0.02)
    assert np.ptp(vertices[:, 1]) == pytest.approx(200 * 16, rel=0.02)


def test_cloudvolume_reads_it(client: httpx.Client) -> None:
    url = f"precomputed://{str(client.base_url).rstrip('/')}{PRE}"
    found = CloudVolume(url, progress=False).skeleton.get(7)
    vertices, edges, radii = skeleton(client, 7)
    assert np.allclose(found.vertices, vertices)
    assert (found.edges == edges).all()
    assert np.allclose(found.radius, radii)
    about = client.get("/api/skeleton", params={**AT, "id": 7, "format": "json"}).json()
    assert found.cable_length() == pytest.approx(about["cable_length_um"] * 1000, rel=1e-4)
    assert len(found.branches()) == about["branch_points"] >= 1


def test_swc_has_parents_before_children_in_micrometres(client: httpx.Client) -> None:
    answer = client.get("/api/skeleton", params={**AT, "id": 7})
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    lines = answer.text.splitlines()
    head = [line for line in lines if line[0] == "#"]
    assert head[0] == '# Meta: {"name": "7", "id": 7, "units": "1 micrometer"}'
    assert "segment 7 of seg" in head[1]
    rows = np.array([line.split() for line in lines[len(head) :]], float)
    assert (rows[:, 0] == np.arange(1, len(rows) + 1)).all()
    assert (rows[:, 6] < rows[:, 0]).all()
    vertices, edges, radii = skeleton(client, 7)
    assert np.allclose(rows[:, 2:5], vertices / 1000, rtol=1e-5)
    assert np.allclose(rows[:, 5], radii / 1000, rtol=1e-3)
    assert (rows[edges[:, 1], 6] == edges[:, 0] + 1).all()
    about = client.get("/api/skeleton", params={**AT, "id": 7, "format": "json"}).json()
    assert about["node"] == rows[:, 0].tolist()
    assert about["parent"] == rows[:, 6].tolist()
    assert np.allclose(about["x"], vertices[:, 0], atol=0.06)
    assert about["unit"] == "nm"


def test_an_edit_elsewhere_keeps_it(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    before = skeleton(client, 7)
    made: list[Any] = []
    original = bfly.segments.skeletons.make_skeleton

    def counted(*words: Any) -> Any:
        made.append(words)
        return original(*words)

    monkeypatch.setattr("bfly.core.skeleton_answers.make_skeleton", counted)
    merge(client, 9, 2**40 + 1)
    for one, other in zip(skeleton(client, 7), before, strict=True):
        assert np.array_equal(one, other)
    assert not made
    merge(client, 7, 9)
    vertices, edges, _ = skeleton(client, 7)
    assert len(vertices) - len(edges) == 3  # three parts that do not touch
    assert len(made) == 1


def test_equal_requests_are_computed_once(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.get("/api/segments", params={**AT, "ids": 7})
    made: list[Any] = []
    original = bfly.segments.skeletons.make_skeleton

    def counted(*words: Any) -> Any:
        made.append(words)
        time.sleep(0.5)
        return original(*words)

    monkeypatch.setattr("bfly.core.skeleton_answers.make_skeleton", counted)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: client.get(f"{PRE}/skeletons/7"), range(6)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == len(made) == 1


def test_a_changed_file_has_other_skeletons(client: httpx.Client, tmp_path: Path) -> None:
    last = skeleton(client, 2**40 + 1)[0][:, 0].max()
    with h5py.File(tmp_path / "data" / "seg.h5", "r+") as file:
        file["main"][5:8, 180:190, 200:] = 0
    for _ in range(100):
        if skeleton(client, 2**40 + 1)[0][:, 0].max() < last - 1000:
            return
        time.sleep(0.1)
    raise AssertionError("the skeleton is that of the former file")


def test_segments_tell_lengths_once_they_are_known(client: httpx.Client) -> None:
    def rows() -> list[dict[str, Any]]:
        answer = client.get("/api/segments", params={**AT, "ids": "7,9"})
        return [json.loads(line) for line in answer.text.splitlines()]

    names = "cable_length_um", "branch_points", "mean_radius_nm"
    assert [[row[name] for name in names] for row in rows()] == [[None] * 3] * 2
    about = client.get("/api/skeleton", params={**AT, "id": 7, "format": "json"}).json()
    seven, nine = rows()
    assert [seven[name] for name in names] == [about[name] for name in names]
    assert about["cable_length_um"] == pytest.approx((300 * 16 + 200 * 16) / 1000, rel=0.1)
    assert nine["cable_length_um"] is None
    table = client.get("/api/segments", params={**AT, "ids": "7,9", "format": "arrow"})
    assert pa.ipc.open_stream(table.content).read_all().to_pylist() == [seven, nine]


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        (f"{PRE}/skeletons/8", 404, "There is no segment 8 in"),
        (f"{PRE}/skeletons/{2**64}", 404, f"There is no segment {2**64} in"),
        (f"{PRE}/skeletons/nothing", 404, "There is no /skeletons/nothing in a volume"),
        ("/pre/e/s/d/em/skeletons/7", 400, "is an image; only a segmentation has segments"),
    ],
)
def test_what_is_not_there(client: httpx.Client, path: str, status: int, said: str) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert said in answer.text


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ({"id": 8}, 404, "There is no segment 8 in"),
        ({"id": 0}, 400, "The id 0 is not from 1 to"),
        ({"id": 7, "format": "obj"}, 400, "The format obj is not in ['swc', 'json']"),
        ({"id": 7, "channel": "em"}, 400, "is an image; only a segmentation has segments"),
    ],
)
def test_what_is_wrong_is_said(
    client: httpx.Client, words: dict[str, object], status: int, said: str
) -> None:
    answer = client.get("/api/skeleton", params={**AT, **words})
    assert answer.status_code == status
    assert said in answer.text


def test_synapses_have_the_nearest_node(client: httpx.Client) -> None:
    words = {**AT, "neuron": 7, "skeleton": "nearest"}
    answer = client.get("/api/synapses", params=words)
    assert answer.status_code == 200, answer.text
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert len(rows) == 3
    vertices, _, _ = skeleton(client, 7)
    for row in rows:
        place = (np.array([row[axis] for axis in "xyz"]) + 0.5) * SIZE[::-1]
        apart = np.linalg.norm(vertices - place, axis=1)
        assert row["skeleton_node"] == apart.argmin() + 1
        assert row["skeleton_distance_nm"] == pytest.approx(apart.min(), abs=0.01)
    plain = client.get("/api/synapses", params={**AT, "neuron": 7}).text.splitlines()
    assert [row.items() >= json.loads(line).items() for row, line in zip(rows, plain, strict=True)]


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ({"skeleton": "nearest"}, 400, "neuron"),
        ({"neuron": 7, "skeleton": "farthest"}, 400, "The skeleton farthest is not in"),
        ({"neuron": 8, "skeleton": "nearest"}, 404, "There is no segment 8 in"),
        ({"neuron": 7, "skeleton": "nearest", "channel": "em"}, 400, "is an image"),
        ({"neuron": 7, "skeleton": "nearest", "channel": ""}, 400, "channel"),
    ],
)
def test_nodes_that_cannot_be_found(
    client: httpx.Client, words: dict[str, object], status: int, said: str
) -> None:
    answer = client.get("/api/synapses", params={**AT, **words})
    assert answer.status_code == status, answer.text
    assert said in answer.text


def mip_of(client: httpx.Client, segment: int) -> int:
    answer = client.get("/api/skeleton", params={**AT, "id": segment, "format": "json"})
    assert answer.status_code == 200, answer.text
    return int(answer.json()["mip"])


def test_a_large_segment_has_the_skeleton_of_a_coarser_mip(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bfly.segments.skeletons.MOST_VOXELS", 8_000)
    assert mip_of(client, 7) >= 1
    vertices, _, _ = skeleton(client, 7)
    assert np.ptp(vertices[:, 0]) == pytest.approx(300 * 16, rel=0.05)


def test_a_segment_that_is_too_large_at_any_mip_is_refused(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bfly.segments.skeletons.MOST_VOXELS", 3)
    answer = client.get(f"{PRE}/skeletons/7")
    assert answer.status_code == 413
    assert "a skeleton is made of at most that many" in answer.text


def test_a_segment_that_coarse_mips_lack_has_one_of_a_finer(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bfly.segments.skeletons.first_mip", lambda volume, _: volume.levels - 1)
    assert mip_of(client, 9) < 3
    vertices, _, _ = skeleton(client, 9)
    assert len(vertices) >= 1
