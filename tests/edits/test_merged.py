"""Neurons and synapses of a channel with edits, over HTTP and as an engine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

AT = {"experiment": "exp", "sample": "sam", "dataset": "dat"}
BOX = {"z": 0, "y": 0, "x": 0, "depth": 100, "height": 100, "width": 100}
PRE, POST = [1, 2, 3, 2, 5], [2, 3, 4, 5, 1]


@pytest.fixture
def client(
    tmp_path: Path, serve: Callable[..., Any], make_tree: Callable[..., Any]
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
    with serve(config.replace(experiments=(experiment,))) as client:
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
    assert fact(client, "neuron_keypoint", id=2) == 404
    assert fact(client, "neuron_children", id=3, **BOX) == {"0": 2, "1": 3, "2": 1, "3": 1}
    assert fact(client, "neuron_children", id=2, **BOX) == 404
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
