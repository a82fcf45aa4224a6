"""Neurons and synapses over HTTP: every feature, rows in every format, ids to the last digit."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
import yaml

from bfly.butterfly import runtime_of
from bfly.config.config import Config
from bfly.databases.nodb import Nodb
from tests.fixtures.documented_plugins import FORMS, Plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

BIG = 2**64 - 1
AT = {"experiment": "e", "sample": "s", "dataset": "d"}
SYNAPSES = {
    "neuron_1": [7, 9, 7, BIG],
    "neuron_2": [9, 7, 7, 9],
    "synapse_center": {"z": [10, 11, 12, 13], "y": [20, 40, 60, 80], "x": [8, 16, 24, 32]},
}
SOMAS = [{"neuron_id": 7, "z": 1, "y": 50, "x": 90}, {"neuron_id": 3, "z": 4, "y": 5, "x": 6}]
ALL = {"z": 0, "y": 0, "x": 0, "depth": 99, "height": 99, "width": 99}
FLAT = {"z": 0, "y": 0, "x": 0, "height": 99, "width": 99}


@pytest.fixture(scope="module", params=[Nodb, *FORMS])
def client(request, tmp_path_factory, serve) -> Iterator[httpx.Client]:
    folder: Path = tmp_path_factory.mktemp("features")
    (folder / "full").mkdir()
    (folder / "bare").mkdir()
    (folder / "full" / "synapse-connections.json").write_text(json.dumps(SYNAPSES))
    (folder / "full" / "neuron-soma.json").write_text(json.dumps(SOMAS))
    channel = {"name": "seg", "path": str(folder / "full" / "seg.h5")}
    datasets = [
        {"name": "d", "path": str(folder / "full"), "channels": [channel]},
        {"name": "bare", "path": str(folder / "bare")},
    ]
    tree = [{"name": "e", "samples": [{"name": "s", "datasets": datasets}]}]
    config = Config.parse({"bfly": {"experiments": tree}}, "test.yaml")
    with serve(config, request.param("", runtime_of(config))) as client:
        yield client


def feature(client: httpx.Client, name: str, **words: object) -> httpx.Response:
    return client.get("/api/entity_feature", params={**AT, "feature": name, **words})


FACTS = [
    ("is_neuron", {"id": BIG}, True),
    ("is_neuron", {"id": 4}, False),
    ("is_synapse", {"id": 3}, True),
    ("is_synapse", {"id": 4}, False),
    ("neuron_keypoint", {"id": 7}, {"z": 1, "y": 50, "x": 90}),
    ("neuron_keypoint", {"id": 9, "resolution": 2}, {"z": 10, "y": 5, "x": 2}),
    # It has no soma, and is presynaptic only.
    ("neuron_keypoint", {"id": BIG}, {"z": 13, "y": 80, "x": 32}),
    ("synapse_keypoint", {"id": 2, "resolution": 3}, {"z": 12, "y": 7, "x": 3}),
    (
        "synapse_parent",
        {"id": 3},
        {"synapse_id": 3, "synapse_parent_pre": BIG, "synapse_parent_post": 9},
    ),
    ("synapse_ids", ALL, [0, 1, 2, 3]),
    ("synapse_ids", {**ALL, "z": 11, "depth": 2}, [1, 2]),
    ("synapse_ids", {**ALL, "depth": 0}, []),
    ("synapse_ids", {**FLAT, "z": 12}, [2]),
    ("synapse_ids", {**ALL, "y": 5, "height": 6, "width": 5, "resolution": 2}, [0, 1]),
    ("neuron_children", {**ALL, "id": 7}, {"0": 1, "1": 2, "2": 3}),
    ("neuron_children", {**ALL, "id": 7, "z": 12}, {"2": 3}),
    ("neuron_children", {**ALL, "id": 3}, {}),
    ("neuron_children", {**FLAT, "id": 7, "z": 11}, {"1": 2}),
    ("all_neurons", {}, [3, 7, 9, BIG]),
    ("is_neuron", {"id": -1}, False),
    ("is_synapse", {"id": -BIG}, False),
    ("neuron_keypoint", {"id": 4}, {}),
    ("neuron_keypoint", {"id": -1}, {}),
    ("synapse_keypoint", {"id": 4}, {}),
    ("synapse_parent", {"id": BIG}, {}),
    ("neuron_children", {**ALL, "id": 4}, {}),
    ("neuron_children", {**ALL, "id": -1}, {}),
]


@pytest.mark.parametrize(("name", "words", "answer"), FACTS)
def test_every_feature(client, name, words, answer) -> None:
    got = feature(client, name, **words)
    assert got.status_code == 200, got.text
    assert got.headers["content-type"] == "application/json"
    assert got.json() == answer
    as_yaml = yaml.safe_load(feature(client, name, format="yaml", **words).text)
    assert as_yaml == (
        {int(k): v for k, v in answer.items()} if name == "neuron_children" else answer
    )
    by_channel = feature(client, name, channel="seg", **words)
    assert by_channel.json() == answer


def test_ids_as_strings(client) -> None:
    def answer(name: str, **words: object) -> object:
        return feature(client, name, ids="string", **words).json()

    assert answer("all_neurons") == ["3", "7", "9", str(BIG)]
    assert answer("synapse_ids", **ALL) == ["0", "1", "2", "3"]
    assert answer("synapse_parent", id=3)["synapse_parent_pre"] == str(BIG)
    assert answer("neuron_keypoint", id=7) == {"z": 1, "y": 50, "x": 90}
    assert answer("is_neuron", id=7) is True


BAD = [
    ("foo", {}, 400, "The feature foo is not in ['is_neuron'"),
    ("is_neuron", {}, 400, "The id None is not an integer."),
    ("is_neuron", {"id": "x"}, 400, "The id x is not an integer."),
    ("is_neuron", {"id": 2**64}, 400, f"The id {2**64} is not from -{BIG} to {BIG}."),
    ("synapse_ids", {}, 400, "The z None is not an integer."),
    ("synapse_ids", {"z": 1}, 400, "The y None is not an integer."),
    ("synapse_ids", {"depth": 1}, 400, "The z None is not an integer."),
    ("neuron_children", ALL, 400, "The id None is not an integer."),
    ("synapse_ids", {**ALL, "width": -1}, 400, "The width -1 is not from 0"),
    ("all_neurons", {"ids": "hex"}, 400, "The ids hex is not in ['number', 'string']."),
    ("all_neurons", {"dataset": "x"}, 400, "The dataset x is not in ['d', 'bare']."),
]


@pytest.mark.parametrize(("name", "words", "status", "message"), BAD)
def test_bad_requests(client, name, words, status, message) -> None:
    got = feature(client, name, **words)
    assert (got.status_code, got.text[: len(message)]) == (status, message)


@pytest.mark.parametrize("rows", ["synapses", "neurons"])
def test_a_dataset_without_synapses_says_so(client, rows) -> None:
    got = client.get(f"/api/{rows}", params={**AT, "dataset": "bare"})
    assert got.status_code == 404
    assert f"has no {rows}." in got.text


@pytest.mark.parametrize(("name", "words", "answer"), FACTS)
def test_features_of_a_dataset_without_neurons_and_synapses(client, name, words, answer) -> None:
    got = feature(client, name, dataset="bare", **words)
    assert got.status_code == 200
    assert got.json() == type(answer)()


def table(client: httpx.Client, rows: str, **words: object) -> list[dict[str, object]]:
    """Get rows in all three formats, which have to agree."""
    words = {**AT, **words}
    lines = client.get(f"/api/{rows}", params=words)
    assert lines.status_code == 200, lines.text
    assert lines.headers["content-type"] == "application/x-ndjson"
    found = [json.loads(line) for line in lines.text.splitlines()]
    text = client.get(f"/api/{rows}", params={**words, "format": "csv"}).text
    as_text = [dict(row) for row in csv.DictReader(io.StringIO(text))]
    assert as_text == [{k: str(v) for k, v in row.items()} for row in found]
    arrow = client.get(f"/api/{rows}", params={**words, "format": "arrow"}).content
    assert pa.ipc.open_stream(arrow).read_all().to_pylist() == found
    return found


def test_synapses_as_rows(client) -> None:
    everything = table(client, "synapses")
    assert sorted(row["__id"] for row in everything) == [0, 1, 2, 3]
    assert {"__id": 3, "n1": BIG, "n2": 9, "z": 13, "y": 80, "x": 32} in everything
    ids = {
        name: [row["__id"] for row in table(client, "synapses", **words)]
        for name, words in {
            "neuron": {"neuron": 7},
            "pre": {"pre": 7},
            "post": {"post": 7},
            "pair": {"pre": 7, "post": 9},
            "box": {**ALL, "z": 11, "depth": 2},
            "neuron in box": {**ALL, "neuron": 9, "z": 11},
            "nothing": {**ALL, "depth": 0},
            "nothing of a neuron": {"pre": 3},
        }.items()
    }
    assert ids == {
        "neuron": [0, 1, 2],
        "pre": [0, 2],
        "post": [1, 2],
        "pair": [0],
        "box": [1, 2],
        "neuron in box": [1, 3],
        "nothing": [],
        "nothing of a neuron": [],
    }
    got = client.get("/api/synapses", params={**AT, "pre": BIG, "ids": "string"}).json()
    assert got == {"__id": "3", "n1": str(BIG), "n2": "9", "z": 13, "y": 80, "x": 32}


def listed(ids: range) -> str:
    return ",".join(map(str, ids))


def test_neurons_partners_and_connectivity(client) -> None:
    assert [row["neuron"] for row in table(client, "neurons")] == [3, 7, 9, BIG]
    assert table(client, "partners", id=9) == [
        {"side": "out", "partner": 7, "synapses": 1},
        {"side": "in", "partner": 7, "synapses": 1},
        {"side": "in", "partner": BIG, "synapses": 1},
    ]
    assert table(client, "connectivity", ids=f"9,7,{BIG}") == [
        {"pre": 9, "9": 0, "7": 1, str(BIG): 0},
        {"pre": 7, "9": 1, "7": 1, str(BIG): 0},
        {"pre": BIG, "9": 1, "7": 0, str(BIG): 0},
    ]


@pytest.mark.parametrize(
    ("rows", "words", "status", "message"),
    [
        ("synapses", {"neuron": 5}, 404, "There is no neuron 5."),
        ("synapses", {"format": "xml"}, 400, "The format xml is not in ['jsonl', 'csv', 'arrow']."),
        ("partners", {}, 400, "The id None is not an integer."),
        ("partners", {"id": 5}, 404, "There is no neuron 5."),
        ("connectivity", {}, 400, "The ids None is not an integer."),
        ("connectivity", {"ids": "7,x"}, 400, "The ids x is not an integer."),
        ("connectivity", {"ids": "7,5"}, 404, "There is no neuron 5."),
        ("connectivity", {"ids": listed(range(2501))}, 400, "There are 2501 ids; allowed are"),
        # As many of the longest ids as are allowed fit an address.
        ("connectivity", {"ids": listed(range(BIG - 2500, BIG))}, 404, "There is no neuron 1844"),
    ],
)
def test_bad_requests_for_rows(client, rows, words, status, message) -> None:
    got = client.get(f"/api/{rows}", params={**AT, **words})
    assert (got.status_code, got.text[: len(message)]) == (status, message)
    assert client.head(f"/api/{rows}", params={**AT, **words}).status_code == status


def test_neurons_that_only_added_synapses_name(serve, tmp_path) -> None:
    (tmp_path / "synapse-connections.json").write_text(json.dumps(SYNAPSES))
    dataset = {"name": "d", "path": str(tmp_path)}
    tree = [{"name": "e", "samples": [{"name": "s", "datasets": [dataset]}]}]
    config = Config.parse({"bfly": {"experiments": tree}}, "t.yaml")
    database = Nodb("", runtime_of(config))
    with serve(config, database) as client:
        (added,) = database.add_synapses(str(tmp_path), [[7, 55, 1, 2, 3]])
        assert table(client, "synapses", neuron=55) == [added]
        assert table(client, "synapses", pre=7, post=55) == [added]
        assert table(client, "partners", id=55) == [{"side": "in", "partner": 7, "synapses": 1}]
        assert table(client, "connectivity", ids="7,55")[0] == {"pre": 7, "7": 1, "55": 1}
        assert feature(client, "neuron_children", id=55, **ALL).json() == {"4": 2}
        assert feature(client, "neuron_children", id=55, **{**ALL, "depth": 0}).json() == {}
        assert client.get("/api/partners", params={**AT, "id": 56}).status_code == 404
        assert feature(client, "neuron_children", id=56, **ALL).json() == {}
        assert feature(client, "neuron_keypoint", id=55).json() == {}


def test_queries_that_a_derived_database_overrides_are_asked(serve, tmp_path) -> None:
    class Own(Plain):
        def all_neurons(self, table: str, path: str) -> list[int]:
            return [len(super().all_neurons(table, path)), 55]

    (tmp_path / "synapse-connections.json").write_text(json.dumps(SYNAPSES))
    dataset = {"name": "d", "path": str(tmp_path)}
    tree = [{"name": "e", "samples": [{"name": "s", "datasets": [dataset]}]}]
    config = Config.parse({"bfly": {"experiments": tree}}, "t.yaml")
    with serve(config, Own("", runtime_of(config))) as client:
        assert feature(client, "all_neurons").json() == [3, 55]


def test_many_rows_are_streamed_whole(serve, tmp_path) -> None:
    count = 250_000
    random = np.random.default_rng(0)
    names = {"neuron_1": "pre", "neuron_2": "post"}
    neurons = {key: random.integers(0, 99, count).tolist() for key in names}
    centres = {axis: random.integers(0, 999, count).tolist() for axis in "zyx"}
    text = json.dumps({**neurons, "synapse_center": centres})
    (tmp_path / "synapse-connections.json").write_text(text)
    dataset = {"name": "d", "path": str(tmp_path)}
    tree = [{"name": "e", "samples": [{"name": "s", "datasets": [dataset]}]}]
    with serve(Config.parse({"bfly": {"experiments": tree}}, "t.yaml")) as client:
        got = client.get("/api/synapses", params={**AT, "format": "arrow"})
        found = pa.ipc.open_stream(got.content).read_all()
        assert found.num_rows == count
        order = np.argsort(found["__id"].to_numpy())
        assert found["n1"].to_numpy()[order].tolist() == neurons["neuron_1"]
        assert client.head("/api/synapses", params=AT).content == b""


def test_real_synapses_of_microns_by_configuration_alone(data: Path, serve) -> None:
    folder = data / "microns_synapses" / "data"
    source = folder / "soma_subgraph_synapses_spines_v185.csv"
    with open(source, newline="") as file:
        truth = list(csv.DictReader(file))
    for units in ("voxel", "nm"):
        columns = {axis: f"ctr_pt_{axis}_nm" for axis in "zyx"} if units == "nm" else {}
        synapses = {"path": str(source), **columns, **({"units": "nm"} if columns else {})}
        dataset = {
            "name": "d",
            "path": str(folder),
            "synapses": {**synapses, **({"voxel_size": [40, 4, 4]} if columns else {})},
            "neurons": {"path": str(folder / "soma_valence_v185.csv")},
        }
        tree = [{"name": "e", "samples": [{"name": "s", "datasets": [dataset]}]}]
        with serve(Config.parse({"bfly": {"experiments": tree}}, "t.yaml")) as client:
            text = client.get("/api/synapses", params={**AT, "ids": "string"}).text
            found = {row["__id"]: row for row in map(json.loads, text.splitlines())}
            assert len(found) == len(truth) == 1961
            for row in truth:
                mine = found[row["id"]]
                assert (mine["n1"], mine["n2"]) == (row["pre_root_id"], row["post_root_id"])
                place = [int(row[f"ctr_pos_{axis}_vx"]) for axis in "zyx"]
                assert np.abs(np.subtract([mine[a] for a in "zyx"], place)).max() <= (units == "nm")
                assert int(mine["cleft_vx"]) == int(row["cleft_vx"])
            first = truth[0]
            parent = feature(client, "synapse_parent", id=first["id"])
            assert f'"synapse_parent_pre":{first["pre_root_id"]}' in parent.text
