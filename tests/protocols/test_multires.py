"""Meshes of several resolutions over HTTP: those of a job while they are current, else others."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from cloudvolume import CloudVolume
from websockets.sync.client import connect

from bfly.butterfly import runtime_of
from bfly.cli import main
from bfly.config.config import Config
from bfly.databases.sqlite import Sqlite
from tests.fixtures.jobs import without_dask
from tests.fixtures.multires import Decoded, decoded
from tests.segments.test_surface import open_edges, volume_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

SHAPE = (70, 200, 300)
SIZE = (8, 8, 8)
BALL, CORNER, DOT = 7, 2**63 + 5, 9
PRE = "/pre/e/s/d/seg"

# CloudVolume warns of things of its own.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def voxels() -> np.ndarray:
    z, y, x = np.indices(SHAPE)
    voxels = np.zeros(SHAPE, "u8")
    voxels[(z - 35) ** 2 * 9 + (y - 100) ** 2 + (x - 140) ** 2 / 2 < 90**2] = BALL
    voxels[:, 190:, :40] = CORNER
    voxels[2:6, 2:6, 280:] = DOT
    return voxels


@pytest.fixture
def config(tmp_path: Path, voxels: np.ndarray) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    channels = []
    for name, stored, kind in (
        ("seg", voxels, "segmentation"),
        ("em", voxels.astype("f4"), "image"),
    ):
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file.create_dataset("main", data=stored, chunks=(16, 64, 64))
        path = str(folder / f"{name}.h5")
        channels.append({"name": name, "path": path, "kind": kind, "voxel_size": SIZE})
    dataset = {"name": "d", "path": str(folder), "channels": channels}
    tree = [{"name": "e", "samples": [{"name": "s", "datasets": [dataset]}]}]
    pyramid = {"folder": str(tmp_path / "kept")}
    database = {"db-type": "Sqlite", "db-path": str(tmp_path / "bfly.db")}
    words = {"experiments": tree, "pyramid": pyramid, **database}
    path = tmp_path / "test.yaml"
    path.write_text(json.dumps({"bfly": words}))
    return path


@pytest.fixture
def client(config: Path, serve: Callable[..., Any]) -> Iterator[httpx.Client]:
    parsed = Config.parse(json.loads(config.read_text()), "test.yaml")
    with serve(parsed, Sqlite(str(config.parent / "bfly.db"), runtime_of(parsed))) as client:
        yield client


@pytest.fixture
def job(config: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that runs the command, its work in this process."""
    without_dask(monkeypatch)

    def run(*words: str) -> None:
        assert main(["mesh", "seg", *words, "-e", str(config)]) == 0

    return run


def files(client: httpx.Client, segment: int) -> tuple[bytes, bytes]:
    answers = [client.get(f"{PRE}/multires/{segment}{end}") for end in (".index", "")]
    for answer in answers:
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "public, no-cache"
    return answers[0].content, answers[1].content


def mesh(client: httpx.Client, segment: int) -> Decoded:
    return decoded(*files(client, segment))


def merge(client: httpx.Client, *segments: int) -> None:
    with connect(f"{client.base_url}/ws/e::s::d/seg".replace("http", "ws")) as socket:
        socket.recv()
        ids = [str(segment) for segment in segments]
        socket.send(json.dumps({"action": "save", "merge": [ids], "split": []}))
        assert json.loads(socket.recv())["error"] == ""


def size_of(parts: Decoded) -> float:
    return sum(map(volume_of, parts.parts(0)))


def test_a_finished_job_is_served_without_a_restart(
    client: httpx.Client, job: Callable[..., None], voxels: np.ndarray
) -> None:
    assert client.get(f"{PRE}/info").json()["mesh"] == "mesh"
    job()
    assert client.get(f"{PRE}/info").json()["mesh"] == "multires"
    info = client.get(f"{PRE}/multires/info").json()
    assert info["@type"] == "neuroglancer_multilod_draco"
    assert info["vertex_quantization_bits"] == 16
    assert "sharding" not in info
    assert [len(mesh(client, one).levels) for one in (BALL, CORNER, DOT)] == [2, 1, 1]
    # A viewer that read the info before goes on.
    assert client.get(f"{PRE}/mesh/{BALL}:0").status_code == 200


@pytest.mark.parametrize("words", [[], ["--sharded"]])
def test_cloudvolume_reads_all_levels(
    client: httpx.Client, job: Callable[..., None], words: list[str]
) -> None:
    job(*words)
    url = f"precomputed://{str(client.base_url).rstrip('/')}{PRE}"
    volume = CloudVolume(url, progress=False)
    expected = mesh(client, BALL)
    for level in (0, 1):
        found = volume.mesh.get([BALL], lod=level)[BALL]
        parts = expected.parts(level)
        assert len(found.faces) == sum(len(part.triangles) for part in parts)
        vertices = np.concatenate([part.vertices for part in parts])
        assert found.vertices.min(axis=0)[::-1] == pytest.approx(vertices.min(axis=0), abs=0.01)
        assert found.vertices.max(axis=0)[::-1] == pytest.approx(vertices.max(axis=0), abs=0.01)
    corner = volume.mesh.get([CORNER])[CORNER]
    assert corner.vertices.max(axis=0).tolist() == pytest.approx([320, 1600, 560], abs=0.02)


def test_ranges_are_fragments(client: httpx.Client, job: Callable[..., None]) -> None:
    job()
    index, data = files(client, BALL)
    address, plain = f"{PRE}/multires/{BALL}", {"accept-encoding": "identity"}
    (count,) = np.frombuffer(index, "<u4", 1, 24).tolist()
    numbers = np.frombuffer(index, "<u4", count, 28 + 16 * count)
    sizes = np.frombuffer(index, "<u4", numbers[0], 28 + 20 * count + 12 * int(numbers[0]))
    start, stop = int(sizes[0]), int(sizes[:2].sum())
    answer = client.get(address, headers={**plain, "range": f"bytes={start}-{stop - 1}"})
    assert answer.status_code == 206
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(data)}"
    assert "content-encoding" not in answer.headers
    assert answer.content == data[start:stop]
    answer = client.get(address, headers={**plain, "range": f"bytes={start}-{stop}"})
    assert answer.status_code == 404
    assert "are no fragments of this mesh as it is now: read its index again" in answer.text
    assert client.head(address).headers["content-length"] == str(len(data))


def test_a_segment_that_the_job_lacks_is_computed(
    client: httpx.Client, job: Callable[..., None], voxels: np.ndarray
) -> None:
    job(str(DOT))
    found = mesh(client, BALL)
    assert len(found.levels) == 1
    assert open_edges(found.parts(0)) == 0
    assert size_of(found) == pytest.approx((voxels == BALL).sum() * 512, rel=0.02)
    vertices = np.concatenate([part.vertices for part in found.parts(0)])
    places = np.argwhere(voxels == BALL) * 8
    assert vertices.min(axis=0) == pytest.approx(places.min(axis=0), abs=0.05)
    assert vertices.max(axis=0) == pytest.approx(places.max(axis=0) + 8, abs=0.05)
    assert files(client, BALL) == files(client, BALL)
    address = f"{PRE}/multires/{BALL}"
    answer = client.get(address, headers={"range": f"bytes=0-{len(files(client, BALL)[1]) - 1}"})
    assert answer.status_code == 206
    assert client.get(address, headers={"range": "bytes=0-99"}).status_code == 404
    url = f"precomputed://{str(client.base_url).rstrip('/')}{PRE}"
    faces = CloudVolume(url, progress=False).mesh.get([BALL])[BALL].faces
    assert len(faces) == len(found.parts(0)[0].triangles)


def test_an_edit_replaces_only_its_segments(
    client: httpx.Client, job: Callable[..., None], voxels: np.ndarray
) -> None:
    job()
    before = files(client, CORNER)
    merge(client, BALL, DOT)
    assert files(client, CORNER) == before
    expected = ((voxels == BALL) | (voxels == DOT)).sum() * 512
    found = mesh(client, BALL)
    assert len(found.levels) == 1
    assert size_of(found) == pytest.approx(expected, rel=0.02)
    job()
    found = mesh(client, BALL)
    assert len(found.levels) == 2
    assert size_of(found) == pytest.approx(expected, rel=0.02)
    assert files(client, CORNER) == before


def test_a_changed_file_has_other_meshes(
    client: httpx.Client, job: Callable[..., None], tmp_path: Path, voxels: np.ndarray
) -> None:
    job()
    before = size_of(mesh(client, CORNER))
    with h5py.File(tmp_path / "data" / "seg.h5", "r+") as file:
        file["main"][:35, 190:, :40] = 0
    for _ in range(100):
        if client.get(f"{PRE}/info").json().get("mesh") == "mesh":
            break
        time.sleep(0.1)
    assert client.get(f"{PRE}/info").json()["mesh"] == "mesh"
    assert size_of(mesh(client, CORNER)) == pytest.approx(before / 2, rel=0.1)


@pytest.mark.parametrize(
    ("file", "status", "said"),
    [
        ("multires/8.index", 404, "There is no segment 8 in"),
        ("multires/8", 404, "There is no segment 8 in"),
        (f"multires/{2**64}.index", 404, f"There is no /multires/{2**64}.index in a volume"),
        ("multires/nothing", 404, "There is no /multires/nothing in a volume"),
        ("multires/7:0", 404, "There is no /multires/7:0 in a volume"),
    ],
)
def test_what_is_not_there(client: httpx.Client, file: str, status: int, said: str) -> None:
    answer = client.get(f"{PRE}/{file}")
    assert answer.status_code == status
    assert said in answer.text


def test_an_image_has_no_meshes(client: httpx.Client) -> None:
    assert client.get("/pre/e/s/d/em/multires/info").status_code == 404
    answer = client.get("/pre/e/s/d/em/multires/7.index")
    assert answer.status_code == 400
    assert "is an image; only a segmentation has segments" in answer.text


def test_without_the_library_it_says_what_to_install(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "DracoPy", None)
    answer = client.get(f"{PRE}/multires/{BALL}.index")
    assert answer.status_code == 503
    assert "pip install 'bfly[dask,mesh]' has it" in answer.text
