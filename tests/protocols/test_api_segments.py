"""Segments over HTTP: their sizes, places and synapses, before and after edits."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pyarrow as pa
import pytest
from websockets.sync.client import connect

from bfly.butterfly import runtime_of
from bfly.config.config import Config
from bfly.databases.sqlite import Sqlite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

AT = {"experiment": "e", "sample": "s", "dataset": "d", "channel": "seg"}

OFFSET = (5, 0, 100)

SYNAPSES = {
    "neuron_1": [3, 3, 9],
    "neuron_2": [9, 4, 3],
    "synapse_center": {"z": [6, 6, 7], "y": [2, 4, 6], "x": [108, 116, 124]},
}


@pytest.fixture
def voxels() -> np.ndarray:
    blocks = np.random.default_rng(5).integers(0, 40, (6, 10, 12)).astype("u8")
    blocks[blocks == 39] = 2**64 - 1
    return blocks.repeat(3, 0).repeat(4, 1).repeat(5, 2)


@pytest.fixture
def served(
    tmp_path: Path, voxels: np.ndarray, serve: Callable[..., Any]
) -> Iterator[tuple[httpx.Client, Sqlite]]:
    folder = tmp_path / "data"
    folder.mkdir()
    with h5py.File(folder / "seg.h5", "w") as file:
        file["main"] = voxels
    with h5py.File(folder / "em.h5", "w") as file:
        file["main"] = voxels.astype("f4")
    (folder / "synapse-connections.json").write_text(json.dumps(SYNAPSES))
    channels = [
        {
            **{"name": "seg", "path": str(folder / "seg.h5"), "kind": "segmentation"},
            **{"voxel_offset": OFFSET, "voxel_size": [40, 4, 4]},
        },
        {"name": "em", "path": str(folder / "em.h5")},
    ]
    dataset = {"name": "d", "path": str(folder), "channels": channels}
    tree = [{"name": "e", "samples": [{"name": "s", "datasets": [dataset]}]}]
    pyramid = {"folder": str(tmp_path / "kept")}
    config = Config.parse({"bfly": {"experiments": tree, "pyramid": pyramid}}, "test.yaml")
    database = Sqlite(str(tmp_path / "bfly.db"), runtime_of(config))
    with serve(config, database) as client:
        yield client, database


def rows(client: httpx.Client, **words: object) -> list[dict[str, Any]]:
    answer = client.get("/api/segments", params={**AT, **words})
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def expected(voxels: np.ndarray, label: int) -> dict[str, Any]:
    places = np.argwhere(voxels == label) + OFFSET
    low, high = places.min(axis=0).tolist(), (places.max(axis=0) + 1).tolist()
    return {
        "id": label,
        "voxels": len(places),
        "volume_um3": pytest.approx(len(places) * 640 / 1e9),
        **{f"{axis}_low": value for axis, value in zip("zyx", low, strict=True)},
        **{f"{axis}_high": value for axis, value in zip("zyx", high, strict=True)},
    }


@pytest.mark.parametrize("look_up", [0, 10_000], ids=["looked up", "in one pass"])
def test_segments_by_id(
    served: tuple[httpx.Client, Sqlite],
    voxels: np.ndarray,
    look_up: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bfly.connectome.connectome.LOOK_UP", look_up)
    client, _ = served
    found = rows(client, ids=f"9,3,{2**64 - 1}")
    assert [row["id"] for row in found] == [3, 9, 2**64 - 1]
    for row in found:
        assert expected(voxels, row["id"]).items() <= row.items()
        point = [row[axis] - offset for axis, offset in zip("zyx", OFFSET, strict=True)]
        assert voxels[tuple(point)] == row["id"]
        assert row["supervoxels"] == 1
    assert [(row["synapses_in"], row["synapses_out"]) for row in found] == [(1, 2), (1, 1), (0, 0)]


def test_a_page_of_the_largest(served: tuple[httpx.Client, Sqlite], voxels: np.ndarray) -> None:
    client, _ = served
    counts = sorted(np.unique(voxels[voxels > 0], return_counts=True)[1].tolist(), reverse=True)
    pages = [rows(client, sort="voxels", start=start, count=15) for start in (0, 15, 30, 45)]
    assert [len(page) for page in pages] == [15, 15, len(counts) - 30, 0]
    assert [row["voxels"] for page in pages for row in page] == counts
    assert len(rows(client)) == len(counts)


@pytest.mark.parametrize("look_up", [0, 10_000], ids=["looked up", "in one pass"])
def test_segments_after_a_merge(
    served: tuple[httpx.Client, Sqlite],
    voxels: np.ndarray,
    look_up: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bfly.connectome.connectome.LOOK_UP", look_up)
    client, _ = served
    assert rows(client, ids="3")[0]["supervoxels"] == 1
    with connect(f"{client.base_url}/ws/e::s::d/seg".replace("http", "ws")) as socket:
        socket.recv()
        socket.send(json.dumps({"action": "save", "merge": [["3", "9", "20"]], "split": []}))
        assert json.loads(socket.recv())["error"] == ""
    merged = np.where(np.isin(voxels, [9, 20]), 3, voxels)
    (row,) = rows(client, ids="3")
    assert expected(merged, 3).items() <= row.items()
    assert row["supervoxels"] == 3
    assert (row["synapses_in"], row["synapses_out"]) == (2, 3)
    # The id of a supervoxel stands for its segment.
    assert [{**one, "id": 3} for one in rows(client, ids="9,20")] == [row, row]
    assert [row["id"] for row in rows(client)].count(9) == 0
    assert expected(voxels, 9).items() <= rows(client, ids="9", labels="supervoxels")[0].items()


def test_the_most_segments_of_an_answer(served: tuple[httpx.Client, Sqlite]) -> None:
    client, _ = served
    ids = ",".join(["3"] * 2_498 + ["9", "20"])
    assert [row["id"] for row in rows(client, ids=ids)] == [3, 9, 20]
    assert client.get("/api/segments", params={**AT, "ids": f"{ids},4"}).status_code == 400
    assert len(rows(client, count=10_000)) == len(rows(client, count=100))


def runs(client: httpx.Client, **words: object) -> np.ndarray:
    """Return the runs of a sparse volume, x, y, z and length, in the format of DVID."""
    answer = client.get("/api/sparsevol", params={**AT, **words})
    assert answer.status_code == 200, answer.text
    assert answer.content[:8] == bytes([0, 3, 0, 0, 0, 0, 0, 0])
    found = np.frombuffer(answer.content[12:], "<i4").reshape(-1, 4)
    assert int.from_bytes(answer.content[8:12], "little") == len(found)
    return found


def filled(found: np.ndarray, shape: tuple[int, ...], origin: tuple[int, ...]) -> np.ndarray:
    volume = np.zeros(shape, int)
    for x, y, z, length in found.tolist():
        x, y, z = x - origin[2], y - origin[1], z - origin[0]
        volume[z, y, x : x + length] += 1
    return volume


@pytest.mark.parametrize("mip", [0, 1, 2])
def test_a_sparse_volume_is_what_a_cutout_has(
    served: tuple[httpx.Client, Sqlite], mip: int
) -> None:
    client, _ = served
    with connect(f"{client.base_url}/ws/e::s::d/seg".replace("http", "ws")) as socket:
        socket.recv()
        socket.send(json.dumps({"action": "save", "merge": [["3", "9", "20"]], "split": []}))
        assert json.loads(socket.recv())["error"] == ""
    shape = 18, -(-40 // 2**mip), -(-60 // 2**mip)
    box = {"z": OFFSET[0], "y": OFFSET[1] >> mip, "x": OFFSET[2] >> mip, "depth": 18}
    size = {"height": shape[1], "width": shape[2]}
    words = {**AT, **box, **size, "resolution": mip, "format": "raw"}
    answer = client.get("/api/data", params=words)
    voxels = np.frombuffer(answer.content, "u8").reshape(shape)
    origin = OFFSET[0], OFFSET[1] >> mip, OFFSET[2] >> mip
    for label in (3, 7, 2**64 - 1):
        found = filled(runs(client, id=label, resolution=mip), shape, origin)
        assert (found == (voxels == label)).all()
    if mip == 0:
        table = client.get("/api/sparsevol", params={**AT, "id": 3, "format": "arrow"})
        columns = pa.ipc.open_stream(table.content).read_all()
        rows = np.stack([columns[name] for name in ("x", "y", "z", "length")], axis=1)
        assert rows.tolist() == runs(client, id=3).tolist()


def test_the_formats(served: tuple[httpx.Client, Sqlite], voxels: np.ndarray) -> None:
    client, _ = served
    listed = rows(client, count=4)
    answer = client.get("/api/segments", params={**AT, "count": 4, "format": "csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert [int(line["id"]) for line in lines] == [row["id"] for row in listed]
    answer = client.get("/api/segments", params={**AT, "count": 4, "format": "arrow"})
    table = pa.ipc.open_stream(answer.content).read_all()
    assert table.to_pylist() == listed


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ({"ids": "3,77"}, 404, "There is no segment 77 in"),
        ({"ids": "x"}, 400, "The ids x is not an integer"),
        ({"count": 0}, 400, "The count 0 is not from 1 to 10000"),
        ({"sort": "name"}, 400, "The sort name is not in ['voxels']"),
        ({"channel": "em"}, 400, "is an image; only a segmentation has segments"),
        ({"channel": "none"}, 400, "The channel none is not in"),
    ],
)
def test_what_is_wrong_is_said(
    served: tuple[httpx.Client, Sqlite], words: dict[str, object], status: int, said: str
) -> None:
    answer = served[0].get("/api/segments", params={**AT, **words})
    assert answer.status_code == status
    assert said in answer.text


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ({"id": 77}, 404, "There is no segment 77 in"),
        ({"id": 0}, 400, "The id 0 is not from 1 to"),
        ({}, 400, "The id None is not an integer"),
        ({"id": 3, "resolution": 30}, 404, "There is no mip 30 of"),
        ({"id": 3, "channel": "em"}, 400, "is an image; only a segmentation has segments"),
    ],
)
def test_what_is_wrong_with_a_sparse_volume_is_said(
    served: tuple[httpx.Client, Sqlite], words: dict[str, object], status: int, said: str
) -> None:
    answer = served[0].get("/api/sparsevol", params={**AT, **words})
    assert answer.status_code == status
    assert said in answer.text
