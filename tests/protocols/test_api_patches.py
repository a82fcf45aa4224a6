"""Splits inside supervoxels, and painting, over HTTP."""

from __future__ import annotations

import base64
import io
import time
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from bfly.butterfly import runtime_of
from bfly.config.config import Config
from bfly.databases.sqlite import Sqlite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

SIZE = (40, 8, 8)
OFFSET = (3, 2, 50)
SHAPE = (12, 40, 200)
BODY, LEFT, RIGHT, APART = 5, 6, 7, 8


def voxels() -> np.ndarray:
    """A supervoxel of two blocks and a thin bridge, a neighbour at each block, and another one."""
    labels = np.zeros(SHAPE, "u4")
    labels[2:10, 4:16, 20:60] = BODY
    labels[2:10, 4:16, 90:140] = BODY
    labels[5:7, 9:11, 60:90] = BODY
    labels[2:10, 16:24, 20:50] = LEFT
    labels[2:10, 16:24, 100:140] = RIGHT
    labels[2:10, 30:38, 0:40] = APART
    return labels


@pytest.fixture
def config(tmp_path: Path) -> Config:
    labels = voxels()
    with h5py.File(tmp_path / "seg.h5", "w") as file:
        file["main"] = labels
    shared = {"voxel_offset": OFFSET, "voxel_size": SIZE}
    seg = {"name": "seg", "path": str(tmp_path / "seg.h5"), "kind": "segmentation", **shared}
    dataset = {"name": "d", "path": str(tmp_path), "channels": [seg]}
    tree = [{"name": "e", "samples": [{"name": "s", "datasets": [dataset]}]}]
    pyramid = {"folder": str(tmp_path / "kept")}
    return Config.parse({"bfly": {"experiments": tree, "pyramid": pyramid}}, "test.yaml")


@pytest.fixture
def database(tmp_path: Path, config: Config) -> Callable[[], Sqlite]:
    return lambda: Sqlite(str(tmp_path / "bfly.db"), runtime_of(config))


@pytest.fixture
def client(
    config: Config, database: Callable[[], Sqlite], serve: Callable[..., Any]
) -> Iterator[httpx.Client]:
    with serve(config, database()) as client:
        yield client


def at(z: float, y: float, x: float) -> list[float]:
    """Return a point of the file as clients send it."""
    return [x + OFFSET[2], y + OFFSET[1], z + OFFSET[0]]


def box(low: tuple[int, int, int], high: tuple[int, int, int]) -> list[list[float]]:
    return [at(*low), at(*high)]


def post(client: httpx.Client, action: str, **asked: Any) -> Any:
    answer = client.post(f"/api/edits/e/s/d/seg/{action}", json=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(client: httpx.Client, action: str, status: int = 400, **asked: Any) -> str:
    answer = client.post(f"/api/edits/e/s/d/seg/{action}", json=asked)
    assert answer.status_code == status, answer.text
    return answer.text


def shown(client: httpx.Client, labels: str = "segments") -> np.ndarray:
    """Return the whole channel over `/api`, after a look at the other protocols."""
    depth, height, width = SHAPE
    z, y, x = OFFSET
    words = {"depth": depth, "height": height, "width": width, "z": z, "y": y, "x": x}
    address = {"experiment": "e", "sample": "s", "dataset": "d", "channel": "seg"}
    answer = client.get("/api/data", params={**address, **words, "format": "npy", "labels": labels})
    assert answer.status_code == 200, answer.text
    found = np.load(io.BytesIO(answer.content)).reshape(SHAPE)
    chunk = client.get(
        f"/pre/e/s/d/seg/0/{x}-{x + 64}_{y}-{y + height}_{z}-{z + depth}", params={"labels": labels}
    )
    assert chunk.status_code == 200, chunk.text
    raw = np.frombuffer(chunk.content, "u4").reshape(depth, height, 64)
    assert np.array_equal(raw, found[:, :, :64])
    return found


POINTS = {"sources": [at(5, 8, 40)], "sinks": [at(5, 8, 120)]}


@pytest.mark.parametrize("is_indexed", [False, True])
def test_a_supervoxel_is_split_at_its_neck(client: httpx.Client, is_indexed: bool) -> None:
    """One operation: one undo takes the pieces and the parts back; a preview has no effect."""
    if is_indexed:
        assert client.get("/api/segments?experiment=e&sample=s&dataset=d&channel=seg").is_success
    labels = voxels()
    post(client, "merge", ids=[LEFT, BODY, RIGHT])
    before = shown(client)
    seen = post(client, "preview", **POINTS)
    assert np.array_equal(shown(client), before)
    (inside,) = seen["inside"]
    assert inside["supervoxel"] == str(BODY)
    split = post(client, "split", **POINTS, user="Ada")
    assert split["kind"] == "patch"
    assert split["patch"] == [{"old": "5", "new": "9"}]
    assert split["points"] == [[90, 10, 8], [170, 10, 8]]
    patched, segments = shown(client, "patched"), shown(client)
    assert np.count_nonzero(patched == 9) == inside["voxels"]
    assert np.array_equal(shown(client, "supervoxels"), labels)
    assert np.isin(np.unique(patched[labels == BODY]), [BODY, 9]).all()
    left, right = segments[5, 8, 40], segments[5, 8, 120]
    assert left != right
    assert (segments[(labels == LEFT) | (labels == BODY) & (np.arange(200) < 60)] == left).all()
    assert (segments[(labels == RIGHT) | (labels == BODY) & (np.arange(200) >= 90)] == right).all()
    assert len(np.unique(segments[labels == BODY])) == 2
    # A piece may be split again.
    corners = {"sources": [at(3, 5, 22)], "sinks": [at(8, 14, 50)]}
    again = post(client, "split", **corners)
    assert shown(client)[3, 5, 22] != shown(client)[8, 14, 50]
    assert [each["new"] for each in again["patch"]] == ["10"]
    post(client, "undo", operations=[again["operation"]])
    merged = post(client, "merge", points=[at(5, 8, 40), at(5, 34, 10)])
    assert shown(client)[5, 20, 30] == shown(client)[5, 34, 10]
    post(client, "undo", operations=[merged["operation"]])
    post(client, "undo", operations=[split["operation"]])
    assert np.array_equal(shown(client), before)
    assert np.array_equal(shown(client, "patched"), labels)
    post(client, "redo", operations=[split["operation"]])
    assert np.array_equal(shown(client), segments)


def test_an_unedited_supervoxel_is_split_and_painted(client: httpx.Client) -> None:
    split = post(client, "split", **POINTS)
    segments = shown(client)
    assert {each["id"] for each in split["segments"]} == {"5", "9"}
    # What is painted is a supervoxel of its own.
    far, near = segments[5, 8, 120], segments[5, 8, 40]
    other = int(near if segments[5, 9, 70] == far else far)
    asked = {"box": box((5, 9, 70), (7, 11, 72)), "id": other}
    painted = post(client, "paint", **asked, user="Bo")
    assert (shown(client)[5:7, 9:11, 70:72] == other).all()
    assert shown(client, "patched").max() == 10
    assert post(client, "paint", **asked, user="Bo") == painted
    assert "as asked already" in refused(client, "paint", **asked, user="Cy")
    text = refused(client, "undo", 409, operations=[split["operation"]])
    assert "2 (patch by Bo" in text
    post(client, "undo", operations=[split["operation"], painted["operation"]])
    assert np.array_equal(shown(client), voxels())


def test_paint_takes_runs_bits_or_a_box(client: httpx.Client) -> None:
    low, high = (3, 30, 10), (5, 33, 20)
    shape = np.subtract(high, low)
    corner = tuple(map(slice, low, high))
    mask = np.random.default_rng(1).random(shape) < 0.5
    bits = base64.b64encode(np.packbits(mask, bitorder="little").tobytes()).decode()
    new = post(client, "paint", box=box(low, high), bits=bits, id="new")
    assert (shown(client)[corner] == np.where(mask, int(new["segments"][0]["id"]), APART)).all()
    post(client, "undo", operations=[new["operation"]])
    runs = [[0, 3], [35, 10]]
    post(client, "paint", box=box(low, high), runs=runs, id=0)
    flat = shown(client)[corner].ravel()
    assert np.flatnonzero(flat == 0).tolist() == [0, 1, 2, *range(35, 45)]
    whole = box((2, 28, 0), (10, 38, 10))
    post(client, "paint", box=whole, id=str(RIGHT), over=[0])
    after, labels = shown(client), voxels()
    background = labels[2:10, 28:38, 0:10] == 0
    assert (after[2:10, 28:38, 0:10] == np.where(background, RIGHT, APART)).all()


def test_what_cannot_be_painted_is_refused_in_words(client: httpx.Client) -> None:
    good = box((3, 30, 10), (5, 33, 20))
    for words, asked in (
        ("box is not [[x, y, z], [x, y, z]]", {"id": 5}),
        ("box is not [[x, y, z], [x, y, z]]", {"box": [[1, 2], [3, 4]], "id": 5}),
        ("The box a is not", {"box": [["a", 0, 0], [1, 1, 1]], "id": 5}),
        ("has 0 voxels; allowed are 1 to 16777216", {"box": [good[1], good[0]], "id": 5}),
        ("voxels; allowed are 1 to", {"box": [[0, 0, 0], [9999, 9999, 9]], "id": 5}),
        (
            "is not inside the channel, which is from [50, 2, 3]",
            {"box": [[0] * 3, [9] * 3], "id": 5},
        ),
        ("The id None", {"box": good}),
        ("The id other", {"box": good, "id": "other"}),
        ("The id -1", {"box": good, "id": -1}),
        ("There is no segment or supervoxel 77", {"box": good, "id": 77}),
        ("There is no segment or supervoxel 77", {"box": good, "id": 5, "over": [77]}),
        ("over is not a list", {"box": good, "id": 5, "over": 3}),
        ("over is not a list", {"box": good, "id": 5, "over": []}),
        ("Both runs and bits", {"box": good, "id": 5, "runs": [[0, 1]], "bits": "AA=="}),
        ("runs is not a list of 1 to 100000", {"box": good, "id": 5, "runs": []}),
        ("runs is not a list of pairs", {"box": good, "id": 5, "runs": [1, 2]}),
        ("runs of a mask are not ascending", {"box": good, "id": 5, "runs": [[5, 1], [0, 1]]}),
        ("within its 60 voxels", {"box": good, "id": 5, "runs": [[99, 1]]}),
        ("bits is not base64", {"box": good, "id": 5, "bits": "?"}),
        ("bits is not base64", {"box": good, "id": 5, "bits": 7}),
        ("bits has 1 bytes; 60 voxels take 8", {"box": good, "id": 5, "bits": "AA=="}),
        ("bits has no voxel", {"box": good, "id": 5, "bits": "AAAAAAAAAAA="}),
        ("as asked already", {"box": good, "id": APART}),
        ("as asked already", {"box": good, "id": 0, "over": [0]}),
    ):
        assert words in refused(client, "paint", **asked), asked
    assert client.get("/api/edits/e/s/d/seg/paint").status_code == 405
    assert client.get("/api/edits/e/s/d/seg/log").json()["last"] == 0


def test_points_on_one_voxel_are_refused(client: httpx.Client) -> None:
    point = at(5, 8, 40)
    text = refused(client, "split", sources=[point], sinks=[point])
    assert "the same voxel (x 90, y 10, z 8)" in text


def test_a_supervoxel_that_is_taken_back_is_not_merged(client: httpx.Client) -> None:
    split = post(client, "split", **POINTS)
    post(client, "undo", operations=[split["operation"]])
    assert "no supervoxel 9 any more" in refused(client, "merge", ids=[5, 9])
    again = post(client, "split", **POINTS, user="Bo")
    assert again["patch"] == [{"old": "5", "new": "10"}]


def last(client: httpx.Client) -> int:
    return client.get("/api/edits/e/s/d/seg/log").json()["last"]


def wait_for(client: httpx.Client, operation: int) -> None:
    deadline = time.monotonic() + 60
    while last(client) < operation:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_patch_of_one_server_is_served_by_another(
    config: Config, database: Callable[[], Sqlite], serve: Callable[..., Any]
) -> None:
    with serve(config, database()) as one, serve(config, database()) as other:
        assert np.array_equal(shown(other), voxels())
        for number in range(1, 4):
            client = (one, other)[number % 2]
            post(client, "paint", box=box((3, 30, number), (5, 33, number + 1)), id="new")
            seen = post(client, "split", **POINTS, user=str(number))
            post(client, "undo", operations=[seen["operation"]])
        wait_for(one, last(other))
        ids = np.unique(shown(one, "patched"))
        assert np.array_equal(shown(one, "patched"), shown(other, "patched"))
        assert len(ids) == len(np.unique(voxels())) + 3


def test_no_id_is_left_in_eight_bits(
    tmp_path: Path, serve: Callable[..., Any], config: Config
) -> None:
    labels = np.full((4, 8, 8), 254, "u1")
    (tmp_path / "seg.h5").unlink()
    with h5py.File(tmp_path / "seg.h5", "w") as file:
        file["main"] = labels
    with serve(config, Sqlite(str(tmp_path / "other.db"), runtime_of(config))) as client:
        post(client, "paint", box=box((0, 0, 0), (1, 1, 1)), id="new")
        text = refused(client, "paint", box=box((1, 0, 0), (2, 1, 1)), id="new")
        assert "no id left for a new supervoxel: allowed are 255 to 255" in text
        post(client, "paint", box=box((1, 0, 0), (2, 1, 1)), id=0)
