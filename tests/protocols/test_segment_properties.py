"""Search for segments, the state of their index, and their properties for Neuroglancer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from websockets.sync.client import connect

from bfly.butterfly import runtime_of
from bfly.config.config import Config
from bfly.connectome import segment_properties, sized
from bfly.databases.sqlite import Sqlite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

AT = {"experiment": "e", "sample": "s", "dataset": "d", "channel": "seg"}


@pytest.fixture
def voxels() -> np.ndarray:
    blocks = np.random.default_rng(5).integers(0, 40, (6, 10, 12)).astype("u8")
    blocks[blocks == 39] = 2**64 - 1
    return blocks.repeat(3, 0).repeat(4, 1).repeat(5, 2)


def rows(client: httpx.Client, **words: object) -> list[dict[str, Any]]:
    answer = client.get("/api/segments", params={**AT, **words})
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


NEURONS = """id,z,y,x,name,class
3,6,2,28,Bee one,PYRAMIDAL
9,6,4,36,ant,basket
20,6,4,36,"bee, other",basket
"""


@pytest.fixture
def named(tmp_path: Path, voxels: np.ndarray, serve: Callable[..., Any]) -> Iterator[httpx.Client]:
    """A segmentation with a table of neurons, which have names and classes."""
    with h5py.File(tmp_path / "seg.h5", "w") as file:
        file["main"] = voxels
    (tmp_path / "neurons.csv").write_text(NEURONS)
    with h5py.File(tmp_path / "em.h5", "w") as file:
        file["main"] = voxels.astype("f4")
    channel = {"name": "seg", "path": str(tmp_path / "seg.h5"), "voxel_size": [40, 4, 4]}
    image = {"name": "em", "path": str(tmp_path / "em.h5")}
    neurons = {"path": str(tmp_path / "neurons.csv"), "units": "voxel"}
    dataset = {"name": "d", "path": str(tmp_path), "neurons": neurons, "channels": [channel, image]}
    tree = [{"name": "e", "samples": [{"name": "s", "datasets": [dataset]}]}]
    pyramid = {"folder": str(tmp_path / "kept")}
    settings = {"experiments": tree, "pyramid": pyramid, "db-path": str(tmp_path / "bfly.db")}
    with serve(Config.parse({"bfly": settings}, "test.yaml")) as client:
        yield client


def test_segments_are_searched(named: httpx.Client, voxels: np.ndarray) -> None:
    listed = [row["id"] for row in rows(named)]

    def searched(text: str) -> list[int]:
        return [row["id"] for row in rows(named, search=text)]

    assert searched("1") == [one for one in listed if str(one).startswith("1")]
    assert searched("BEE") == [one for one in listed if one in (3, 20)]
    assert searched("basket ") == [one for one in listed if one in (9, 20)]
    assert searched("nobee") == []
    assert [row["id"] for row in rows(named, search="basket", start=1, count=1)] == [
        searched("basket")[1]
    ]
    assert named.get("/api/segments", params={**AT, "search": "x" * 201}).status_code == 400


def state_of(client: httpx.Client) -> dict[str, Any] | None:
    found: dict[str, Any] = client.get("/api/channel_metadata", params=AT).json()
    browsed = client.get("/browse/e/s/d/seg").json()
    assert browsed["segments"] == found.get("segments")
    return found.get("segments")


def test_the_state_of_the_index_is_told(named: httpx.Client) -> None:
    client = named
    about = {"can_be_listed": True, "index": None, "meshes": "computed", "skeletons": "computed"}
    assert state_of(client) == about
    rows(client)
    assert state_of(client) == {**about, "index": 100}
    assert (
        "segments" not in client.get("/api/channel_metadata", params={**AT, "channel": "em"}).text
    )


def properties(client: httpx.Client) -> dict[str, list[Any]]:
    inline = client.get("/pre/e/s/d/seg/segment_properties/info").json()["inline"]
    for one in inline["properties"]:
        assert len(one["values"]) == len(inline["ids"])
        if one["type"] == "number":
            assert one["data_type"] in ("uint32", "int32", "float32")
    values = {one["id"]: one["values"] for one in inline["properties"]}
    return {"ids": list(map(int, inline["ids"])), **values}


def test_properties_are_the_sizes_of_segments_and_the_names_of_neurons(
    named: httpx.Client, voxels: np.ndarray
) -> None:
    assert properties(named)["ids"] == [3, 9, 20]
    assert "voxels" not in properties(named)
    rows(named)
    ids, counts = np.unique(voxels[voxels > 0], return_counts=True)
    found = properties(named)
    sizes = dict(zip(found["ids"], found["voxels"], strict=True))
    assert sizes == dict(zip(ids.tolist(), counts.tolist(), strict=True))
    assert found["volume_um3"] == pytest.approx([size * 640 / 1e9 for size in found["voxels"]])
    assert found["ids"][:3] == [3, 9, 20]
    assert found["name"][:3] == ["Bee one", "ant", "bee, other"]
    assert set(found["name"][3:]) == {""}
    places = list(zip(*(found[f"soma_{axis}"] for axis in "zyx"), strict=True))
    assert places[0] == (6, 2, 28)
    assert [int(voxels[place]) for place in places[3:]] == found["ids"][3:]


def test_properties_without_neurons_follow_edits(
    tmp_path: Path, voxels: np.ndarray, serve: Callable[..., Any]
) -> None:
    with h5py.File(tmp_path / "seg.h5", "w") as file:
        file["main"] = voxels
    channel = {"name": "seg", "path": str(tmp_path / "seg.h5")}
    dataset = {"name": "d", "path": str(tmp_path), "channels": [channel]}
    tree = [{"name": "e", "samples": [{"name": "s", "datasets": [dataset]}]}]
    settings = {"experiments": tree, "db-path": str(tmp_path / "bfly.db")}
    pyramid = {"folder": str(tmp_path / "kept")}
    config = Config.parse({"bfly": {**settings, "pyramid": pyramid}}, "test.yaml")
    with serve(config, Sqlite(str(tmp_path / "bfly.db"), runtime_of(config))) as client:
        assert "segment_properties" not in client.get("/pre/e/s/d/seg/info").json()
        assert client.get("/pre/e/s/d/seg/segment_properties/info").status_code == 404
        rows(client)
        info = client.get("/pre/e/s/d/seg/info").json()
        assert info["segment_properties"] == "segment_properties"
        found = properties(client)
        ids, counts = np.unique(voxels[voxels > 0], return_counts=True)
        assert dict(zip(found["ids"], found["voxels"], strict=True)) == dict(
            zip(ids.tolist(), counts.tolist(), strict=True)
        )
        assert found["voxels"] == sorted(found["voxels"], reverse=True)
        assert set(found) == {"ids", "voxels"}
        with connect(f"{client.base_url}/ws/e::s::d/seg".replace("http", "ws")) as socket:
            socket.recv()
            socket.send(json.dumps({"action": "save", "merge": [["3", "9"]], "split": []}))
            assert json.loads(socket.recv())["error"] == ""
        merged = properties(client)
        sizes = dict(zip(merged["ids"], merged["voxels"], strict=True))
        assert sizes[3] == np.isin(voxels, [3, 9]).sum()
        assert 9 not in sizes


def test_numbers_of_neurons_stay_numbers(
    tmp_path: Path, voxels: np.ndarray, serve: Callable[..., Any]
) -> None:
    with h5py.File(tmp_path / "seg.h5", "w") as file:
        file["main"] = voxels
    (tmp_path / "neurons.csv").write_text("id,z,y,x,score\n3,6,2,28,7\n9,6,4,36,8\n777,1,1,1,9\n")
    channel = {"name": "seg", "path": str(tmp_path / "seg.h5")}
    neurons = {"path": str(tmp_path / "neurons.csv"), "units": "voxel"}
    dataset = {"name": "d", "path": str(tmp_path), "neurons": neurons, "channels": [channel]}
    tree = [{"name": "e", "samples": [{"name": "s", "datasets": [dataset]}]}]
    pyramid = {"folder": str(tmp_path / "kept")}
    settings = {"experiments": tree, "pyramid": pyramid, "db-path": str(tmp_path / "bfly.db")}
    with serve(Config.parse({"bfly": settings}, "test.yaml")) as client:
        rows(client)
        found = properties(client)
    # A segment without a row has no score, and 0 would be a wrong one.
    assert found["ids"] == [3, 9, 777]
    assert found["score"] == [7, 8, 9]
    assert found["voxels"] == [(voxels == 3).sum(), (voxels == 9).sum(), 0]


def test_the_smaller_segments_are_left_out(
    named: httpx.Client, voxels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (sized, segment_properties):
        monkeypatch.setattr(module, "MOST", 5)
    ids, counts = np.unique(voxels[voxels > 0], return_counts=True)
    sizes = dict(zip(ids.tolist(), counts.tolist(), strict=True))
    rows(named)
    found = properties(named)
    others = sorted((size for one, size in sizes.items() if one not in (3, 9, 20)), reverse=True)
    assert len(found["ids"]) == 5
    assert found["ids"][:3] == [3, 9, 20]
    assert sorted((sizes[one] for one in found["ids"][3:]), reverse=True) == others[:2]
    assert found["voxels"] == [sizes[one] for one in found["ids"]]
