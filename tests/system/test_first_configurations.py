"""Configuration files of the first Butterfly: served, with a line in the log, or refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bfly.butterfly import Butterfly
from bfly.cli import main
from tests.fixtures.lab import AT, LABELS, SYNAPSES, text, voxels, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx

IN_DATASET = "bfly.experiments[0].samples[0].datasets[0]"
IN_CHANNEL = f"{IN_DATASET}.channels[0]"
SEG = "path: data/seg.h5\n          "
FULL = text()

SERVED = {
    "as documented": (FULL, "The database is {folder}/bfly.db (beside the configuration)"),
    "other programs": (f"other: [1]\n{FULL}", ""),
    "nothing": ("bfly:\n", "bfly is empty; there is no channel to serve."),
    "number": (text('max-cache-size: "64"'), "bfly.max-cache-size is '64'; it is read as 64."),
    "offset": (text(channel=f'{SEG}offset: ["0", 0, 0]'), f"{IN_CHANNEL}.offset[0] is '0'; it"),
    "offset as documented": (
        text(channel=f"{SEG}offset: [0, 0, 0]"),
        "offset is read as documented: voxel of the file = voxel asked for + offset.",
    ),
    "voxel size": (text(channel=f"{SEG}voxel_size: [1e2, 4, 4]"), "is '1e2'; it is read as 100.0."),
    "yes": (text("db-update: y"), "bfly.db-update is 'y'; it is read as yes."),
    "no": (text('developer-mode: "no"'), "bfly.developer-mode is 'no'; it is read as no."),
    "one": (text("db-update: 1"), "bfly.db-update is 1; it is read as yes."),
    "misspelt key": (text("prot: 1"), "no such key; did you mean port? It is ignored."),
    "unknown key": (text("zzz: [1]"), "bfly.zzz is [1], but there is no such key. It is ignored."),
    "underscores": (text("max_cache_size: 1"), "did you mean max-cache-size? It is ignored."),
    "key of a dataset": (
        text(dataset="path: data\n        pth: x"),
        f"{IN_DATASET}.pth is 'x', but",
    ),
    "key of a channel": (text(channel=f"{SEG}visible: yes"), f"{IN_CHANNEL}.visible is True, but"),
    "number as key": (text("7: x"), "bfly.7 is 7, but there is no such key. It is ignored."),
    "no path": (text(dataset=""), f"{IN_DATASET}.path is missing; it is {{folder}}/data, the"),
    "folder of edits": (text("edit-path: edits"), "first Butterfly are read from {folder}/edits"),
    "edits at the root": (text("edit-path: /"), "first Butterfly are read from /, and continued"),
    "file of edits": (text("edit-path: new.db"), ""),
    "synapses in the dataset": (
        text(dataset="path: data\n        synapse-connections: syn.json"),
        "Loaded 2 neurons and 1 synapses of {folder}/data",
    ),
    "synapses beside the file": (
        text(dataset="path: data\n        synapse-connections: beside.json"),
        "Loaded 2 neurons and 1 synapses of {folder}/data",
    ),
    "synapses by their whole path": (
        text(dataset="path: data\n        synapse-connections: {folder}/data/syn.json"),
        "Loaded 2 neurons and 1 synapses of {folder}/data",
    ),
    "somata in the dataset": (
        text(dataset="path: data\n        neuron-soma: soma.json"),
        "/data/soma.json: numbers that are text, from [0].neuron_id on, are read as numbers",
    ),
    "synapses that are not JSON": (
        text(dataset="path: data\n        synapse-connections: broken.json"),
        "{folder}/data are not loaded: {folder}/data/broken.json is not whole JSON",
    ),
    "synapses that are nothing like JSON": (
        text(dataset="path: data\n        synapse-connections: prose.json"),
        "{folder}/data are not loaded: {folder}/data/prose.json is not JSON",
    ),
    "synapses that are not there": (
        text(dataset="path: data\n        synapse-connections: gone.json"),
        "{folder}/data are not loaded: {folder}/data/gone.json cannot be read: No such file",
    ),
    "a channel that is not there": (
        text(channel="path: data/seg.h5\n        - {name: x, path: data/gone.h5}"),
        "The channel x will not be served: {folder}/data/gone.h5 does not exist.",
    ),
}
"""What is served, and a line that the log then has."""

REFUSED = {
    "two of a name": (
        text(channel=f"{SEG.rstrip()}\n        - {{name: c, path: x}}"),
        ".channels[1].name is 'c', which is the name of [0] too",
    ),
    "slash": (FULL.replace("name: c", "name: a/b"), f"{IN_CHANNEL}.name is 'a/b'; allowed is text"),
    "slash of a dataset": (FULL.replace("name: d", "name: a/b"), f"{IN_DATASET}.name is 'a/b';"),
    "Mongodb": (text("db-type: Mongodb"), "write Sqlite (a file), or Postgres (a server)"),
    "other engine": (text("db-type: Unqlite"), "allowed is one of Nodb, Postgres, Sqlite."),
    "wrong port": (text('db-port: "70000"'), "bfly.db-port is 70000; allowed is a whole number"),
    "no number": (text("max-cache-size: lots"), "bfly.max-cache-size is 'lots'; allowed is a"),
    "neither yes nor no": (text("db-update: maybe"), "bfly.db-update is 'maybe'; allowed is yes"),
    "no name": (FULL.replace("name: c", "nmae: c"), f"{IN_CHANNEL}.name is missing; needed is"),
    "no path of a channel": (text(channel=""), f"{IN_CHANNEL}.path is missing; needed is a path"),
    "key twice": (text("port: 1"), "bfly.port is there again in line"),
    "list": ("bfly: [1]\n", "bfly is [1]; allowed is a mapping of keys."),
    "no root": ("butterfly: {}\n", "bfly is missing at the root; there is butterfly."),
}
"""What is refused, and why."""

MENDED = ("it is read as", "It is ignored.", "path is missing", "bfly is empty")


def feature(client: httpx.Client, **words: Any) -> httpx.Response:
    return client.get("/api/entity_feature", params={**AT, "channel": "c", **words})


@pytest.mark.parametrize("name", SERVED)
def test_it_is_served(
    name: str,
    lab: Path,
    served: Callable[[str], Any],
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    content, said = SERVED[name]
    with served(content) as client:
        assert client.get("/").status_code == 200
        assert client.get("/api/experiments").json() == ["e"] * ("experiments" in content)
        if "experiments" in content:
            assert np.array_equal(voxels(client), LABELS)
    said = said.replace("{folder}", str(lab))
    assert any(said in line for line in caplog.messages), caplog.messages
    if any(word in said for word in MENDED):
        assert main(["--strict", "-e", str(lab / "bfly.yaml")]) == 1
        assert "allowed" in (why := capsys.readouterr().err).lower() or "missing" in why


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused(name: str, lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content, why = REFUSED[name]
    assert main(["-e", write(lab, content)]) == 1
    said = capsys.readouterr().err
    assert f"{lab}/bfly.yaml: " in said
    assert why in said


def test_what_is_ignored_is_told_with_what_is_refused(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-e", write(lab, text(channel="pth: data/seg.h5"))]) == 1
    missing, hint = capsys.readouterr().err.splitlines()
    assert "path is missing" in missing
    assert "did you mean path?" in hint


def test_neurons_of_numbers_that_are_text(served: Callable[[str], Any]) -> None:
    with served(text(dataset="path: data\n        neuron-soma: soma.json")) as client:
        place = feature(client, feature="neuron_keypoint", id=9, resolution=0).json()
    assert place == {"z": 1, "y": 2, "x": 3}


def test_tables_that_cannot_be_read_are_errors_and_the_rest_is_served(
    lab: Path, served: Callable[[str], Any]
) -> None:
    content = SERVED["synapses that are not JSON"][0]
    with served(content) as client:
        assert np.array_equal(voxels(client), LABELS)
        assert client.get("/pre/e::s::d/c/info").status_code == 200
        assert client.get("/browse/e::s::d").json() == {"neurons": 0, "synapses": 0}
        for words in ({"feature": "is_neuron", "id": 1}, {"feature": "all_neurons"}):
            answer = feature(client, **words)
            assert answer.status_code == 503
            assert "broken.json is not whole JSON" in answer.text
    (lab / "data" / "broken.json").write_text(json.dumps(SYNAPSES))
    with served(content) as client:
        assert feature(client, feature="is_neuron", id=1).json() is True
    (lab / "data" / "broken.json").write_text("[")
    with served(content) as client:
        assert feature(client, feature="is_neuron", id=1).status_code == 503


def test_a_database_in_the_working_folder_is_taken(
    lab: Path, served: Callable[[str], Any], caplog: pytest.LogCaptureFixture
) -> None:
    work = lab.parent / "work"
    (work / "bfly.db").touch()
    with served(FULL):
        pass
    line = f"The database is {work}/bfly.db (it was in the working folder)"
    assert line in caplog.messages
    assert (work / "bfly.db").stat().st_size > 0
    assert not (lab / "bfly.db").exists()


def test_a_configured_database_is_named(
    lab: Path, served: Callable[[str], Any], caplog: pytest.LogCaptureFixture
) -> None:
    with served(text("db-path: own.db")):
        pass
    assert f"The database is {lab}/own.db (as db-path says)" in caplog.messages


def test_the_saved_configuration_does_not_name_the_default_database(lab: Path) -> None:
    saved = lab / "saved.yaml"
    butterfly = Butterfly(write(lab, FULL), str(saved))
    assert butterfly.config.db_path == str(lab / "bfly.db")
    assert butterfly.config.states_folder == str(lab / "bfly-states")
    assert "db-path" not in saved.read_text()
