"""The documented base class: what it gives, and how it loads."""

from __future__ import annotations

import json

import numpy as np
import pytest

import bfly.DatabaseLayer as DatabaseLayer
from bfly import registry
from bfly.databases.database import Database
from bfly.databases.nodb import Nodb
from bfly.databases.sqlite import Sqlite
from bfly.keywords import RUNTIME
from tests.fixtures.documented_plugins import Plain

SYNAPSES = {
    "neuron_1": [7, 9],
    "neuron_2": [9, 2**64 - 1],
    "synapse_center": {"z": [1, 2], "y": [3, 4], "x": [5, 6]},
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "synapse-connections.json").write_text(json.dumps(SYNAPSES))
    somas = [{"neuron_id": 7, "z": 9, "y": 8, "x": 7}]
    (tmp_path / "neuron-soma.json").write_text(json.dumps(somas))
    return tmp_path


def test_methods_to_override_can_be_called():
    database = Database("", RUNTIME())
    assert database.add_path("/em.h5", "/d") is None
    assert database.commit() is None
    assert database.get_path("/em.h5") == "/em.h5"
    assert database.add_tables("/d") is database
    names = {
        database.add_table("neuron", "/d"),
        database.get_table("neuron", "/d"),
        database.get_by_key("neuron", "/d", 1),
        database.add_entry("neuron", "/d", {"neuron": 1}),
        database.add_entries("neuron", "/d", ["neuron"], [[1]]),
    }
    assert names == {"neuron:///d"}
    assert not database.is_neuron("neuron", "/d", 1)
    assert database.all_neurons("neuron", "/d") == []


def test_the_name_of_a_table_has_the_path_of_the_dataset():
    database = Plain("", RUNTIME())
    database.add_path("/em.h5", "/d")
    assert Database.get_table(database, "neuron", "/em.h5") == "neuron:///d"


@pytest.mark.parametrize("kind", [Plain, Nodb])
def test_what_is_loaded_is_stored(kind, folder):
    path = str(folder)
    database = kind("", RUNTIME()).add_tables(path)
    for _ in range(2):
        synapses = database.load_synapses(path)
        assert synapses.tolist() == [[7, 9, 1, 3, 5], [9, 2**64 - 1, 2, 4, 6]]
        assert len(database.load_neurons(path, synapses)) == 3
        assert database.synapse_ids("synapse", path, [0] * 3, [9] * 3) == [0, 1]
        assert database.all_neurons("neuron", path) == [7, 9, 2**64 - 1]
    assert database.neuron_keypoint("neuron", path, 7, 1) == {"z": 9, "y": 8, "x": 7}


def test_files_that_a_dataset_names_are_loaded(folder):
    (folder / "neuron-soma.json").unlink()
    other = folder / "other"
    other.mkdir()
    (folder / "synapse-connections.json").rename(other / "links.json")
    database = Plain("", RUNTIME())
    dataset = {"path": str(folder), "synapse-connections": str(other / "links.json")}
    database.load_all({**dataset, "channels": [{"path": "/em.h5"}]})
    assert database.all_neurons("neuron", "/em.h5") == [7, 9, 2**64 - 1]


@pytest.mark.parametrize("kind", [Plain, Nodb])
def test_what_has_no_path_is_left_out(kind, folder):
    channels = [{"name": "a"}, {"path": "/b.h5"}, {"path": "/c.h5", "dpath": str(folder)}]
    tree = {"experiments": [{"samples": [{"datasets": [{"channels": channels}, {"name": "d"}]}]}]}
    database = kind("", RUNTIME())
    assert database.load_config(tree) is database
    assert database.get_path("/b.h5") == "/b.h5"
    assert database.all_neurons("neuron", "/c.h5") == [7, 9, 2**64 - 1]


@pytest.mark.parametrize("kind", [Plain, Nodb])
def test_files_outside_the_allowed_folders_are_not_loaded(kind, folder, caplog):
    runtime = RUNTIME()
    runtime.FILES.ALLOWED.VALUE = [str(folder / "other")]
    (folder / "other").mkdir()
    database = kind("", runtime)
    database.load_all({"path": str(folder)})
    assert f"neurons of {folder} are not loaded: The path {folder}" in caplog.text
    assert database.all_neurons("neuron", str(folder)) == []


def test_databases_by_name():
    for name in registry.DATABASES:
        assert getattr(DatabaseLayer, name) is registry.load("databases", name)
    with pytest.raises(AttributeError, match="Mongodb"):
        _ = DatabaseLayer.Mongodb


def test_the_table_of_sqlite_is_an_object(tmp_path):
    database = Sqlite(str(tmp_path / "b.db"), RUNTIME())
    database.add_path("/em.h5", "/d")
    database.add_tables("/d").add_neurons("/d", np.array([[7, 1, 2, 3], [5, 4, 5, 6]]))
    table = database.get_table("neuron", "/em.h5")
    assert dict(table) == {
        5: {"neuron": 5, "z": 4, "y": 5, "x": 6},
        7: {"neuron": 7, "z": 1, "y": 2, "x": 3},
    }
    assert len(table) == 2
    assert 6 not in table
