"""A database of the documented contract answers what the engine in memory answers."""

from __future__ import annotations

import numpy as np
import pytest

from bfly.databases.entry_tables import EntryTables
from bfly.databases.nodb import Nodb
from bfly.errors import DatabaseError
from bfly.geometry import BoundingBox
from bfly.keywords import RUNTIME
from bfly.testing.databases import NEURON, PATH, SYNAPSE, random_synapses
from tests.fixtures.documented_plugins import FORMS, Plain

CHANNEL = "/data/set/em.h5"
BOX = BoundingBox((-100, 0, 0), (1500, 2500, 4000))


def filled(kind):
    database = kind("", RUNTIME())
    database.add_path(CHANNEL, PATH)
    database.add_tables(PATH)
    rows = random_synapses(300, neurons=20)
    columns = [rows[name] for name in ("n1", "n2", "z", "y", "x")]
    database.add_synapses(PATH, np.column_stack([c.astype(np.uint64) for c in columns]))
    neurons = np.unique(rows["n1"])
    database.add_neurons(PATH, np.column_stack([neurons, neurons >> np.uint64(60)] * 2))
    return database


def same(found, expected):
    assert found.keys() == expected.keys()
    for name, column in expected.items():
        assert found[name].dtype == column.dtype
        assert found[name].tolist() == column.tolist()


@pytest.mark.parametrize("kind", FORMS)
def test_columns_equal_those_of_an_engine(kind):
    engine, tables = filled(Nodb), EntryTables(filled(kind))
    neuron = int(engine.ids(NEURON, PATH)[3])
    assert tables.dataset(CHANNEL) == tables.dataset(PATH) == PATH
    for table in (NEURON, SYNAPSE):
        ids = engine.ids(table, PATH)
        assert tables.ids(table, PATH).tolist() == ids.tolist()
        same(tables.rows(table, PATH, ids[5:9]), engine.rows(table, PATH, ids[5:9]))
        assert tables.count(table, PATH) == len(ids)
    same(tables.synapses_in(PATH, BOX), engine.synapses_in(PATH, BOX))
    same(tables.synapses_of(PATH, neuron, BOX), engine.synapses_of(PATH, neuron, BOX))
    same(tables.thinned(PATH, 1, 3, BOX), engine.thinned(PATH, 1, 3, BOX))
    assert tables.ranges(PATH) == engine.ranges(PATH)


@pytest.mark.parametrize("kind", FORMS)
def test_documented_queries_equal_those_of_an_engine(kind):
    engine, database = filled(Nodb), filled(kind)
    neuron = int(engine.ids(NEURON, PATH)[3])
    for path in (PATH, CHANNEL):
        for number in (neuron, 5, 299, 300):
            for name, table, *more in (
                ("is_neuron", NEURON),
                ("is_synapse", SYNAPSE),
                ("synapse_parent", SYNAPSE),
                ("neuron_keypoint", NEURON, 4),
                ("synapse_keypoint", SYNAPSE, 4),
            ):
                found = getattr(database, name)(table, path, number, *more)
                assert found == getattr(engine, name)(table, path, number, *more)
        ends = BOX.start, BOX.stop
        assert database.all_neurons(NEURON, path) == engine.all_neurons(NEURON, path)
        assert database.synapse_ids(SYNAPSE, path, *ends) == engine.synapse_ids(
            SYNAPSE, path, *ends
        )
        assert database.neuron_children(SYNAPSE, path, neuron, *ends) == engine.neuron_children(
            SYNAPSE, path, neuron, *ends
        )


def test_a_change_is_another_state():
    database = filled(Plain)
    states = {EntryTables(database).state(PATH), EntryTables(filled(Plain)).state(PATH)}
    assert len(states) == 1
    database.add_neurons(PATH, [[1, 2, 3, 4]])
    assert EntryTables(database).state(PATH) not in states


def test_ids_of_added_synapses_follow_the_highest():
    database = filled(Plain)
    (entry,) = database.add_synapses(PATH, [[1, 2, 3, 4, 5]])
    assert entry == {"__id": 300, "n1": 1, "n2": 2, "z": 3, "y": 4, "x": 5}


@pytest.mark.parametrize("table", [object(), [7], [{"z": 1}], [[1, 2]]])
def test_a_table_that_cannot_be_listed_is_an_error(table):
    class Other(Plain):
        def get_all(self, _table, _path):
            return table

    with pytest.raises(DatabaseError, match=f"neurons of {PATH}"):
        Other("", RUNTIME()).all_neurons(NEURON, PATH)
