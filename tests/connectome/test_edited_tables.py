"""Neurons and synapses of a channel with edits, over HTTP and as an engine."""

from __future__ import annotations

import json
import struct
from functools import partial
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bfly.butterfly import runtime_of
from bfly.connectome.edited_tables import Merged
from bfly.databases.nodb import Nodb
from bfly.edits.channel import ChannelEdits
from bfly.edits.log import MemoryLog
from bfly.edits.message import Save
from bfly.keywords import RUNTIME
from bfly.tables.columns import concatenated
from tests.fixtures.documented_plugins import Plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

AT = {"experiment": "exp", "sample": "sam", "dataset": "dat"}
BOX = {"z": 0, "y": 0, "x": 0, "depth": 100, "height": 100, "width": 100}
PRE_URL = "/pre/exp::sam::dat/seg"
PRE, POST = [1, 2, 3, 2, 5], [2, 3, 4, 5, 1]


@pytest.fixture(params=[Nodb, Plain])
def client(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    serve: Callable[..., Any],
    make_tree: Callable[..., Any],
) -> Iterator[httpx.Client]:
    """Neurons 1 to 5 in a ring of synapses, and 9 alone; 2 and 3 are merged, named 3."""
    for name in ("seg", "other"):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["main"] = np.arange(60, dtype="u4").reshape(3, 4, 5) % 10
    centers = {axis: list(range(5)) for axis in "zyx"}
    synapses = {"neuron_1": PRE, "neuron_2": POST, "synapse_center": centers}
    (tmp_path / "synapse-connections.json").write_text(json.dumps(synapses))
    somas = [{"neuron_id": n, "z": n, "y": 10 * n, "x": n} for n in (1, 2, 4, 9)]
    (tmp_path / "neuron-soma.json").write_text(json.dumps(somas))
    channels = [{"name": n, "path": str(tmp_path / f"{n}.h5")} for n in ("seg", "other")]
    config = make_tree(*channels)
    dataset = config.dataset("exp", "sam", "dat").model_copy(update={"path": str(tmp_path)})
    sample = config.experiments[0].samples[0].model_copy(update={"datasets": (dataset,)})
    experiment = config.experiments[0].model_copy(update={"samples": (sample,)})
    config = config.replace(experiments=(experiment,))
    with serve(config, request.param("", runtime_of(config))) as client:
        yield client


def save(client: httpx.Client, channel: str, *merge: list[str]) -> None:
    from websockets.sync.client import connect

    port = client.base_url.port
    with connect(f"ws://127.0.0.1:{port}/ws/exp::sam::dat/{channel}") as socket:
        socket.recv(timeout=20)
        socket.send(json.dumps({"action": "save", "merge": merge}))
        assert json.loads(socket.recv(timeout=20))["error"] == ""


def fact(client: httpx.Client, feature: str, **words: Any) -> Any:
    answer = client.get("/api/entity_feature", params={**AT, "feature": feature, **words})
    return answer.json() if answer.status_code == 200 else answer.status_code


def rows(client: httpx.Client, what: str, **words: Any) -> Any:
    answer = client.get(f"/api/{what}", params={**AT, **words})
    if answer.status_code != 200:
        return answer.status_code
    return [json.loads(line) for line in answer.text.splitlines()]


def test_facts_and_rows_follow_the_edits(client: httpx.Client) -> None:
    assert fact(client, "all_neurons") == [1, 2, 3, 4, 5, 9]
    save(client, "seg", ["3", "2"])
    assert fact(client, "all_neurons") == [1, 3, 4, 5, 9]
    assert fact(client, "is_neuron", id=3) is True
    assert fact(client, "is_neuron", id=2) is False
    assert fact(client, "neuron_keypoint", id=3) == {"z": 1, "y": 1, "x": 1}
    assert fact(client, "neuron_keypoint", id=2) == {}
    assert fact(client, "neuron_children", id=3, **BOX) == {"0": 2, "1": 3, "2": 1, "3": 1}
    assert fact(client, "neuron_children", id=2, **BOX) == {}
    assert fact(client, "synapse_parent", id=0) == {
        "synapse_id": 0,
        "synapse_parent_pre": 1,
        "synapse_parent_post": 3,
    }
    assert rows(client, "partners", id=3) == [
        {"side": "out", "partner": 3, "synapses": 1},
        {"side": "out", "partner": 4, "synapses": 1},
        {"side": "out", "partner": 5, "synapses": 1},
        {"side": "in", "partner": 1, "synapses": 1},
        {"side": "in", "partner": 3, "synapses": 1},
    ]
    assert rows(client, "partners", id=2) == 404
    assert [(r["n1"], r["n2"]) for r in rows(client, "synapses")] == [
        (1, 3), (3, 3), (3, 4), (3, 5), (5, 1),
    ]  # fmt: skip
    assert sorted(r["__id"] for r in rows(client, "synapses", pre=3)) == [1, 2, 3]
    of_it = rows(client, "synapses", neuron=3)
    assert sorted((r["__id"], r["n1"], r["n2"]) for r in of_it) == [
        (0, 1, 3), (1, 3, 3), (2, 3, 4), (3, 3, 5),
    ]  # fmt: skip
    assert [r["__id"] for r in rows(client, "synapses", neuron=3, **{**BOX, "z": 3})] == [3]
    assert rows(client, "synapses", neuron=2) == 404
    assert [r["__id"] for r in rows(client, "synapses", neuron=3, post=4)] == [2]
    assert [r["neuron"] for r in rows(client, "neurons")] == [1, 3, 4, 5, 9]
    assert rows(client, "connectivity", ids="1,3,4") == [
        {"pre": 1, "1": 0, "3": 1, "4": 0},
        {"pre": 3, "1": 0, "3": 1, "4": 1},
        {"pre": 4, "1": 0, "3": 0, "4": 0},
    ]


def test_as_the_tables_have_them(client: httpx.Client) -> None:
    save(client, "seg", ["3", "2"])
    stored = {"labels": "supervoxels"}
    assert fact(client, "all_neurons", **stored) == [1, 2, 3, 4, 5, 9]
    assert fact(client, "neuron_children", id=2, **BOX, **stored) == {"0": 2, "1": 1, "3": 1}
    assert [(r["n1"], r["n2"]) for r in rows(client, "synapses", **stored)] == list(
        zip(PRE, POST, strict=True)
    )
    assert client.get("/api/synapses", params={**AT, "labels": "no"}).status_code == 400


def relations(client: httpx.Client, synapse: int, **words: str) -> list[int]:
    """Read the neuron before and after a synapse, the end of its annotation."""
    answer = client.get(f"{PRE_URL}/synapses/by_id/{synapse}", params=words)
    one_pre, pre, one_post, post = struct.unpack("<IQIQ", answer.content[-24:])
    assert (one_pre, one_post) == (1, 1)
    return [pre, post]


def related(client: httpx.Client, side: str, neuron: int, **words: str) -> list[int]:
    """Read which synapses are before or after a neuron: the ids stand at the end."""
    data = client.get(f"{PRE_URL}/synapses/{side}/{neuron}", params=words).content
    (count,) = struct.unpack("<Q", data[:8])
    return sorted(struct.unpack(f"<{count}Q", data[len(data) - 8 * count :]))


def properties(client: httpx.Client, **words: str) -> dict[str, Any]:
    inline = client.get(f"{PRE_URL}/segment_properties/info", params=words).json()["inline"]
    return {"ids": inline["ids"], **{p["id"]: p["values"] for p in inline["properties"]}}


def test_annotations_and_properties_follow_the_edits(client: httpx.Client) -> None:
    before = properties(client)
    save(client, "seg", ["3", "2"])
    assert [relations(client, n) for n in range(5)] == [[1, 3], [3, 3], [3, 4], [3, 5], [5, 1]]
    assert related(client, "pre", 3) == [1, 2, 3]
    assert related(client, "post", 3) == [0, 1]
    assert related(client, "pre", 2) == related(client, "post", 2) == []
    assert properties(client) == {
        "ids": ["1", "3", "4", "5", "9"],
        "degree_out": [1, 3, 0, 1, 0],
        "degree_in": [1, 2, 1, 1, 0],
        "soma_x": [1, 1, 4, 3, 9],
        "soma_y": [10, 1, 40, 3, 90],
        "soma_z": [1, 1, 4, 3, 9],
    }
    stored = {"labels": "supervoxels"}
    assert properties(client, **stored) == before
    assert before["ids"] == ["1", "2", "3", "4", "5", "9"]
    assert related(client, "pre", 2, **stored) == [1, 3]
    assert relations(client, 1, **stored) == [2, 3]


def test_another_channel_has_other_properties(client: httpx.Client) -> None:
    save(client, "seg", ["3", "2"])
    save(client, "other", ["4", "5"])
    other = PRE_URL.replace("seg", "other")
    lists = [
        client.get(f"{url}/segment_properties/info").json()["inline"]["ids"]
        for url in (PRE_URL, other)
    ]
    assert lists == [["1", "3", "4", "5", "9"], ["1", "2", "3", "4", "9"]]


def test_the_counts_of_a_dataset_follow_the_edits(client: httpx.Client) -> None:
    def counts(**words: str) -> list[int]:
        answer = client.get("/browse/exp::sam::dat", params=words).json()
        return [answer["neurons"], answer["synapses"]]

    assert counts() == [6, 5]
    save(client, "seg", ["3", "2"], ["9", "8"])
    assert counts() == [5, 5]
    # 8 is no neuron, but names one now; 4 is in the tables, and named anew.
    save(client, "seg", ["8", "9", "4"])
    assert counts() == [4, 5]
    assert fact(client, "all_neurons") == [1, 3, 5, 8]
    places = {row["neuron"]: row["z"] for row in rows(client, "neurons")}
    assert places == {1: 1, 3: 1, 5: 3, 8: 4}
    assert counts(labels="supervoxels") == [6, 5]
    save(client, "other", ["4", "5"])
    assert counts() == [6, 5]


@given(
    st.lists(st.integers(1, 20), unique=True),
    st.lists(st.lists(st.integers(1, 20), min_size=2, max_size=5), max_size=6),
)
def test_neurons_counted_listed_and_scanned_are_the_same(
    neurons: list[int], merges: list[list[int]]
) -> None:
    engine = Nodb("", RUNTIME())
    engine.add_neurons("/", np.array([[n, n, n, n] for n in neurons]).reshape(-1, 4))
    edits = ChannelEdits("/x", MemoryLog())
    for ids in merges:
        wanted = Save.parse({"merge": [list(map(str, ids))]})
        edits.append(partial(wanted.operations, who="", base=None))
    merged = Merged(engine, "/x", edits.state)
    ids = merged.ids("neuron", "/")
    scanned = concatenated("neuron", merged.scan("/", table="neuron"))
    assert ids.tolist() == sorted(set(edits.state.segments(np.array(neurons, "u8")).tolist()))
    assert merged.count("neuron", "/") == len(ids)
    assert merged.has_rows("neuron", "/") == bool(neurons)
    assert np.array_equal(np.sort(scanned["neuron"]), ids)
    found = merged.rows("neuron", "/", scanned["neuron"])
    assert {name: column.tolist() for name, column in found.items()} == {
        name: column.tolist() for name, column in scanned.items()
    }


@pytest.mark.parametrize(
    "path",
    [
        "/api/entity_feature?experiment=exp&sample=sam&dataset=dat&feature=synapse_parent&id=1",
        "/pre/exp::sam::dat/seg/synapses/by_id/1",
        "/pre/exp::sam::dat/seg/synapses/pre/3",
        "/pre/exp::sam::dat/seg/segment_properties/info",
        "/browse/exp::sam::dat",
    ],
)
def test_browsers_ask_again_after_an_edit(client: httpx.Client, path: str) -> None:
    first = client.get(path)
    assert "max-age=5" in first.headers["cache-control"]
    save(client, "seg", ["3", "2"])
    changed = client.get(path, headers={"if-none-match": first.headers["etag"]})
    assert changed.status_code == 200
    assert changed.headers["etag"] != first.headers["etag"]
    assert "no-cache" in changed.headers["cache-control"]
    again = client.get(path, headers={"if-none-match": changed.headers["etag"]})
    assert again.status_code == 304


def test_the_edits_of_which_channel(client: httpx.Client) -> None:
    save(client, "seg", ["3", "2"])
    assert fact(client, "is_neuron", id=2, channel="other") is True
    save(client, "other", ["4", "5"])
    answer = client.get("/api/partners", params={**AT, "id": 3})
    assert answer.status_code == 400
    assert "name one as channel" in answer.text
    assert fact(client, "is_neuron", id=2, channel="seg") is False
    assert fact(client, "is_neuron", id=5, channel="other") is False
    assert fact(client, "is_neuron", id=5, channel="seg") is True


def test_an_answer_changes_with_its_voxels_alone(client: httpx.Client) -> None:
    def chunk(**headers: str) -> httpx.Response:
        return client.get("/pre/exp::sam::dat/seg/0/0-5_0-1_0-1", headers=headers)

    first = chunk()
    assert "max-age=5" in first.headers["cache-control"]
    save(client, "seg", ["8", "9"])
    same = chunk(**{"if-none-match": first.headers["etag"]})
    assert same.status_code == 304
    assert "no-cache" in same.headers["cache-control"]
    save(client, "seg", ["1", "2"])
    other = chunk(**{"if-none-match": first.headers["etag"]})
    assert other.status_code == 200
    assert other.headers["etag"] != first.headers["etag"]
    assert np.frombuffer(other.content, "u4").tolist() == [0, 1, 1, 3, 4]
