"""Entries, tables and features: the documented calls one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from bfly.errors import BadRequest
from bfly.keywords import RUNTIME
from bfly.testing.databases.base import BIG, NEURON, PATH, SYNAPSE, DatabaseTests

if TYPE_CHECKING:
    from bfly.databases.engine import Engine

__all__ = ["EntryTests"]


class EntryTests(DatabaseTests):
    """What is written by a call is found by others, also after a restart."""

    def test_paths(self, database: Engine, place: str) -> None:
        """A channel's path leads to its dataset, also after a restart."""
        assert database.get_path("/data/set/em.h5") == PATH
        assert database.get_path("/other") == "/other"
        database.add_path("/data/set/em.h5", "/elsewhere")
        assert database.get_path("/data/set/em.h5") == "/elsewhere"
        database.commit()
        for again in self.reopened(place):
            assert again.get_path("/data/set/em.h5") == "/elsewhere"

    def test_tables(self, database: Engine) -> None:
        """Tables can be added twice; a table that was not added is none."""
        for table in RUNTIME.DB.TABLE.LIST:
            assert database.add_table(table, PATH)
            assert database.get_table(table, PATH) is not None
            assert database.get_table(table, "/unknown") is None

    def test_empty(self, database: Engine) -> None:
        """Empty tables, and unknown datasets, have no rows."""
        for path in (PATH, "/unknown"):
            assert database.all_neurons(NEURON, path) == []
            assert database.synapse_ids(SYNAPSE, path, [0, 0, 0], [9, 9, 9]) == []
            assert database.neuron_children(SYNAPSE, path, 1, [0, 0, 0], [9, 9, 9]) == {}
            assert database.get_by_key(NEURON, path, 1) == {}
            assert database.get_by_key(SYNAPSE, path, 1) == {}
            assert database.neuron_keypoint(NEURON, path, 1, 1) == {}
            assert database.synapse_keypoint(SYNAPSE, path, 1, 1) == {}
            assert database.synapse_parent(SYNAPSE, path, 1) == {}
            assert not database.is_neuron(NEURON, path, 1)
            assert not database.is_synapse(SYNAPSE, path, 1)
            assert [len(side) for side in database.partners(path, 1)] == [0, 0]
            assert sum(len(batch["z"]) for batch in database.scan(path)) == 0

    def test_documented_results(self, database: Engine) -> None:
        """`add_synapses` and `add_neurons` give the entries; the features answer on them."""
        synapses = np.array([[7, 9, 10, 20, 30], [9, 7, 11, 21, 31], [7, 7, 12, 22, 32]])
        entries = database.add_synapses(PATH, synapses)
        assert entries[1] == {"__id": 1, "n1": 9, "n2": 7, "z": 11, "y": 21, "x": 31}
        assert [entry["__id"] for entry in entries] == [0, 1, 2]
        neurons = database.add_neurons(PATH, [[7, 1, 5, 9], [BIG, 2, 3, 4]])
        assert neurons[1] == {"neuron": BIG, "z": 2, "y": 3, "x": 4}
        database.commit()
        channel = "/data/set/em.h5"
        assert database.is_synapse(SYNAPSE, channel, 2)
        assert not database.is_synapse(SYNAPSE, channel, 3)
        assert database.is_neuron(NEURON, channel, BIG)
        assert not database.is_neuron(NEURON, channel, 8)
        for number in (-1, 2**64, 2**70):
            assert not database.is_neuron(NEURON, channel, number)
            assert database.neuron_children(SYNAPSE, channel, number, [0] * 3, [99] * 3) == {}
        assert database.neuron_keypoint(NEURON, channel, 7, 4) == {"z": 1, "y": 1, "x": 2}
        assert database.synapse_keypoint(SYNAPSE, channel, 2, 2) == {"z": 12, "y": 11, "x": 16}
        assert database.synapse_parent(SYNAPSE, channel, 1) == {
            "synapse_id": 1,
            "synapse_parent_pre": 9,
            "synapse_parent_post": 7,
        }
        assert database.synapse_ids(SYNAPSE, channel, [10, 20, 30], [12, 22, 32]) == [0, 1]
        assert database.synapse_ids(SYNAPSE, channel, [10, 20, 30], [10, 22, 32]) == []
        everywhere = [0, 0, 0], [99, 99, 99]
        assert database.neuron_children(SYNAPSE, channel, 7, *everywhere) == {0: 1, 1: 2, 2: 3}
        assert database.neuron_children(SYNAPSE, channel, 7, [11, 0, 0], [12, 99, 99]) == {1: 2}
        assert sorted(database.all_neurons(NEURON, channel)) == [7, BIG]
        more = database.add_synapses(PATH, [[1, 2, 3, 4, 5]])
        assert more[0]["__id"] == 3

    def test_entries(self, database: Engine, place: str) -> None:
        """An entry is updated, or written anew; both can be read at once."""
        entry = {"__id": 5, "n1": 1, "n2": BIG, "z": 3, "y": -4, "x": 5}
        assert database.add_entry(SYNAPSE, PATH, entry) == entry
        assert database.get_by_key(SYNAPSE, PATH, 5) == entry
        updated = database.add_entry(SYNAPSE, PATH, {"__id": 5, "n1": 2**63, "x": 500_000})
        assert updated == {**entry, "n1": 2**63, "x": 500_000}
        assert database.get_by_key(SYNAPSE, PATH, 5) == updated
        assert database.synapse_ids(SYNAPSE, PATH, [0, -9, 0], [9, 9, 9]) == []
        assert database.neuron_children(SYNAPSE, PATH, 1, [0, -9, 0], [9, 9, 10**6]) == {}
        assert database.neuron_children(SYNAPSE, PATH, 2**63, [0, -9, 0], [9, 9, 10**6]) == {5: 1}
        anew = database.add_entry(SYNAPSE, PATH, {"__id": 5, "n1": 8}, update=0)
        assert anew == {"__id": 5, "n1": 8, "n2": 0, "z": 0, "y": 0, "x": 0}
        keys = ["neuron", "z", "y", "x"]
        assert database.add_entries(NEURON, PATH, keys, [[BIG, 1, 2, 3], [4, 5, 6, 7]]) == [
            dict(zip(keys, row, strict=True)) for row in ([BIG, 1, 2, 3], [4, 5, 6, 7])
        ]
        database.commit()
        for again in self.reopened(place):
            assert again.get_by_key(SYNAPSE, PATH, 5) == anew
            assert again.all_neurons(NEURON, PATH) == [4, BIG]

    def test_there_is_no_id_above_the_last(self, database: Engine) -> None:
        """Synapses are added up to the last id of 64 bits, and refused beyond."""
        database.add_entry(SYNAPSE, PATH, {"__id": BIG - 1, "n1": 1})
        with pytest.raises(BadRequest, match="below 2\\^64"):
            database.add_synapses(PATH, [[1, 2, 3, 4, 5]] * 2)
        assert database.add_synapses(PATH, [[1, 2, 3, 4, 5]])[0]["__id"] == BIG
        assert database.ids(SYNAPSE, PATH).tolist() == [BIG - 1, BIG]
