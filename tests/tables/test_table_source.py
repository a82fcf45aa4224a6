"""The tables in the configuration of a dataset."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bfly.config.config import Config
from bfly.config.tree import Neurons, Synapses
from bfly.errors import ConfigError, NotAllowed
from bfly.storage.files import Files
from bfly.tables import TableSource, fingerprint, named_in, sources_of

PAGE = Path(__file__).parents[2] / "docs" / "tables.md"


def test_nothing_said_and_nothing_there(tmp_path: Path) -> None:
    assert sources_of({"path": str(tmp_path)}, Files()) == (None, None)


def test_documented_files_are_found(tmp_path: Path) -> None:
    synapses, neurons = tmp_path / "synapse-connections.json", tmp_path / "neuron-soma.json"
    synapses.touch()
    expected = TableSource("synapse", str(synapses))
    assert sources_of({"path": str(tmp_path)}, Files()) == (expected, None)
    neurons.touch()
    said = {"path": str(tmp_path), "synapse-connections": "/other.json"}
    expected = TableSource("synapse", "/other.json")
    assert sources_of(said, Files()) == (expected, TableSource("neuron", str(neurons)))


@pytest.mark.parametrize("stated", ["links.json", "{home}/links.json"])
def test_a_channels_own_folder_has_the_files_that_its_dataset_names(
    stated: str, tmp_path: Path
) -> None:
    home, own = tmp_path / "home", tmp_path / "own"
    own.mkdir()
    dataset = {
        "path": str(home),
        "synapse-connections": stated.format(home=home),
        "neuron-soma": f"{tmp_path}/elsewhere.json",
    }
    assert named_in(str(own), dataset) == {}
    (own / "links.json").touch()
    (own / "elsewhere.json").touch()
    assert named_in(str(own), dataset) == {"synapse-connections": str(own / "links.json")}


def test_tables_go_before_documented_files(tmp_path: Path) -> None:
    (tmp_path / "synapse-connections.json").touch()
    said = {
        "path": str(tmp_path),
        "channels": [{"name": "a"}, {"name": "b", "voxel_size": [40, 4, 4]}],
        "synapses": {"path": "/s.csv", "pre": "a", "position": "p", "units": "nm"},
        "neurons": {"path": "/n.csv", "id": "n", "skip-bad-rows": True, "voxel_size": [1, 2, 3]},
    }
    synapses, neurons = sources_of(said, Files())
    named = {"pre": "a", "position": "p"}
    assert synapses == TableSource("synapse", "/s.csv", named, "nm", (40, 4, 4))
    assert neurons == TableSource("neuron", "/n.csv", {"id": "n"}, None, (1, 2, 3), True)


def test_a_configuration_is_understood_as_it_is_dumped(tmp_path: Path) -> None:
    dataset = {
        "name": "dat",
        "path": "here",
        "channels": [{"name": "em", "path": "em.h5", "voxel_size": [40, 4, 4]}],
        "synapses": {"path": "s.csv", "skip-bad-rows": True},
    }
    samples = [{"name": "sam", "datasets": [dataset]}]
    experiments = [{"name": "exp", "samples": samples}]
    config = Config.parse({"bfly": {"experiments": experiments}}, str(tmp_path / "bfly.yaml"))
    dumped = config.dump()["bfly"]["experiments"][0]["samples"][0]["datasets"][0]
    expected = TableSource("synapse", str(tmp_path / "s.csv"), {}, None, (40, 4, 4), True)
    assert sources_of(dumped, Files())[0] == expected


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"synapses": {"path": "/s", "per": "a"}}, "bfly.synapses.per is 'a', but there is no"),
        ({"synapses": {"pre": "a"}}, "bfly.synapses.path is missing"),
        ({"synapses": {"path": "/s", "units": "um"}}, "units is 'um'; allowed is voxel or nm"),
        ({"neurons": {"path": "/n", "pre": "a"}}, "bfly.neurons.pre is 'a', but there is no"),
        ({"neurons": {"path": "/n", "x": "a", "position": "b"}}, "either position, or z, y and x"),
        ({"neurons": {"path": "/n"}, "neuron-soma": "/m"}, "either neurons or neuron-soma"),
        (
            {"synapses": {"path": "/n"}, "synapse-connections": "/m"},
            "either synapses or synapse-connections",
        ),
    ],
)
def test_mistakes_are_told(said: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        sources_of({"path": "/nowhere", **said}, Files())
    assert message in str(caught.value)


def test_files_stay_below_the_allowed_folders(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "neuron-soma.json").write_text("[]")
    (tmp_path / "inside" / "neuron-soma.json").symlink_to(tmp_path / "neuron-soma.json")
    files = Files([str(tmp_path / "inside")])
    with pytest.raises(NotAllowed):
        sources_of({"path": str(tmp_path / "inside")}, files)
    with pytest.raises(NotAllowed):
        fingerprint([TableSource("neuron", str(tmp_path / "neuron-soma.json"))], files)


def test_a_fingerprint_tells_of_every_change(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("id,pre\n")
    source = TableSource("synapse", str(path))
    states = [fingerprint(pair, Files()) for pair in ([source, None], [None, source], [source])]
    states += [
        fingerprint([replace(source, **changed), None], Files())
        for changed in (
            {"columns": {"pre": "a"}},
            {"columns": {"post": "a"}},
            {"units": "nm"},
            {"voxel_size": (1, 2, 3)},
            {"skip_bad_rows": True},
            {"path": str(tmp_path / "t.csv")},
        )
    ]
    assert fingerprint([source, None], Files()) == states[0]
    os.utime(path, ns=(0, 7))
    states.append(fingerprint([source, None], Files()))
    path.write_text("id,pre,post\n")
    os.utime(path, ns=(0, 7))
    states.append(fingerprint([source, None], Files()))
    assert len(set(states)) == len(states)


@pytest.mark.parametrize("model", [Synapses, Neurons])
def test_every_key_is_documented(model: type[Synapses]) -> None:
    section = PAGE.read_text().split("## What can be said of them\n")[1].split("\n#")[0]
    keys = re.findall(r"^\| `([^`]*)` \|", section, re.M)
    stated = {field.alias or name for name, field in model.model_fields.items()}
    only = set() if model is Synapses else {"pre", "post"}
    assert set(keys) - only == stated
