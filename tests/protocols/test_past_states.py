"""``state=…``: cutouts, segments, neurons and synapses as they were after an operation."""

from __future__ import annotations

import io
import json
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

DATASET = {"experiment": "e", "sample": "s", "dataset": "d"}
CHANNEL = {**DATASET, "channel": "seg"}


@pytest.fixture
def client(tmp_path: Path, serve: Callable[..., Any]) -> Iterator[httpx.Client]:
    """Serve four supervoxels, and the synapses 1 → 3, 2 → 3, 2 → 4 and 4 → 1."""
    with h5py.File(tmp_path / "seg.h5", "w") as file:
        file["main"] = np.arange(1, 5, dtype="u4").reshape(1, 1, 4).repeat(4, 0).repeat(4, 1)
    synapses = {"neuron_1": [1, 2, 2, 4], "neuron_2": [3, 3, 4, 1]}
    synapses["synapse_center"] = {axis: [0, 1, 2, 3] for axis in "zyx"}
    (tmp_path / "synapse-connections.json").write_text(json.dumps(synapses))
    somas = [{"neuron_id": number, "z": 0, "y": 0, "x": number - 1} for number in range(1, 5)]
    (tmp_path / "neuron-soma.json").write_text(json.dumps(somas))
    channel = {"name": "seg", "path": str(tmp_path / "seg.h5"), "kind": "segmentation"}
    dataset = {"name": "d", "path": str(tmp_path), "channels": [channel]}
    tree = [{"name": "e", "samples": [{"name": "s", "datasets": [dataset]}]}]
    pyramid = {"folder": str(tmp_path / "kept")}
    config = Config.parse({"bfly": {"experiments": tree, "pyramid": pyramid}}, "test.yaml")
    with serve(config, Sqlite(str(tmp_path / "bfly.db"), runtime_of(config))) as client:
        for ids in ([1, 2], [2, 4], [3, 4]):
            merge(client, *ids)
        yield client


def merge(client: httpx.Client, *ids: int) -> Any:
    done = client.post("/api/edits/e/s/d/seg/merge", json={"ids": ids})
    assert done.status_code == 200, done.text
    return done.json()


def got(client: httpx.Client, method: str, words: dict[str, Any]) -> list[Any]:
    answer = client.get(f"/api/{method}", params={**DATASET, **words})
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def segments(client: httpx.Client, address: str, **words: Any) -> list[int]:
    """Return the segments of the four supervoxels."""
    answer = client.get(address, params=words)
    assert answer.status_code == 200, answer.text
    return np.load(io.BytesIO(answer.content)).ravel()[:4].tolist()


STATES = {0: [1, 2, 3, 4], 1: [1, 1, 3, 4], 2: [2, 2, 3, 2], 3: [3, 3, 3, 3]}
"""Segments of the supervoxels after each operation."""


@pytest.mark.parametrize("state", STATES)
def test_every_answer_has_the_state_that_is_asked_for(client: httpx.Client, state: int) -> None:
    now = STATES[state]
    box = {"x": 0, "y": 0, "z": 0, "width": 4, "height": 1, "format": "npy"}
    assert segments(client, "/api/data", **CHANNEL, **box, state=state) == now
    there = got(client, "segments", {**CHANNEL, "state": state})
    assert sorted(row["id"] for row in there) == sorted(set(now))
    counts = {row["id"]: row["supervoxels"] for row in there}
    assert counts == {name: now.count(name) for name in now}
    neurons = got(client, "neurons", {"state": state})
    assert sorted(row["neuron"] for row in neurons) == sorted(set(now))
    assert got(client, "entity_feature", {"feature": "all_neurons", "state": state}) == [
        sorted(set(now))
    ]
    links = [(now[a - 1], now[b - 1]) for a, b in ((1, 3), (2, 3), (2, 4), (4, 1))]
    rows = got(client, "synapses", {"state": state})
    assert [(row["n1"], row["n2"]) for row in rows] == links
    for name in set(now):
        words = {"neuron": name, "state": state}
        assert len(got(client, "synapses", words)) == sum(name in link for link in links)
        partners = got(client, "partners", {"id": name, "state": state})
        told = {(row["side"], row["partner"]): row["synapses"] for row in partners}
        out = [("out", b) for a, b in links if a == name]
        into = [("in", a) for a, b in links if b == name]
        assert told == {side: (out + into).count(side) for side in out + into}
    matrix = got(client, "connectivity", {"ids": ",".join(map(str, set(now))), "state": state})
    for row in matrix:
        for name in set(now):
            assert row[str(name)] == links.count((row["pre"], name))


def test_a_state_can_be_named_by_its_time(client: httpx.Client) -> None:
    when = client.get("/api/edits/e/s/d/seg/operation", params={"id": 3}).json()["time"]
    for moment, state in (("2020-01-01T00:00:00Z", 0), (when, 3), ("2999-01-01", 3)):
        ids = got(client, "entity_feature", {"feature": "all_neurons", "state": moment})
        assert ids == [sorted(set(STATES[state]))]
    box = {"x": 0, "y": 0, "z": 0, "width": 4, "height": 1, "format": "npy"}
    assert segments(client, "/api/data", **CHANNEL, **box, state="2020-01-01") == STATES[0]


def test_every_protocol_takes_it(client: httpx.Client) -> None:
    for address in ("/pre/e::s::d/seg/0/0-4_0-4_0-4", "/zarr/e::s::d/seg/0/0/0/0"):
        then, now = (client.get(address, params=words) for words in ({"state": 0}, {}))
        assert (then.status_code, now.status_code) == (200, 200), then.text
        assert then.content != now.content
        assert client.get(address, params={"state": 3}).content == now.content


def test_the_latest_state_by_its_number_does_not_stay_the_latest(client: httpx.Client) -> None:
    """What is kept of an answer is not given for a state that has changed."""
    words = {"feature": "all_neurons"}
    future = {**words, "state": "2999-01-01"}
    box = {**CHANNEL, "x": 0, "y": 0, "z": 0, "width": 4, "height": 1, "format": "npy"}
    assert segments(client, "/api/data", **box, state=3) == STATES[3]
    assert segments(client, "/api/data", **box, state="2999-01-01") == STATES[3]
    done = client.post("/api/edits/e/s/d/seg/undo", json={"operations": [1, 2, 3]})
    assert done.status_code == 200, done.text
    assert segments(client, "/api/data", **box, state=3) == STATES[3]
    assert segments(client, "/api/data", **box, state="2999-01-01") == STATES[0]
    assert got(client, "entity_feature", future) == [[1, 2, 3, 4]]
    assert got(client, "entity_feature", {**words, "state": 3}) == [[3]]


def test_a_state_that_is_not_there_is_refused(client: httpx.Client) -> None:
    for state, words in (
        ("4", "The operation 4 is not from 0 to 3"),
        ("-1", "state -1 is not a time such as 2026-11-28T12:00:00Z"),
        ("yesterday", "state yesterday is not a time"),
        ("9" * 20, f"The state {'9' * 20} is not from 0 to"),
    ):
        for method, asked in (
            ("entity_feature", {**DATASET, "feature": "all_neurons"}),
            ("segments", CHANNEL),
            ("synapses", DATASET),
        ):
            answer = client.get(f"/api/{method}", params={**asked, "state": state})
            assert (answer.status_code, words in answer.text) == (400, True), answer.text


def test_supervoxels_have_no_states(client: httpx.Client) -> None:
    words = {"feature": "all_neurons", "labels": "supervoxels", "state": 3}
    assert got(client, "entity_feature", words) == [[1, 2, 3, 4]]
