from __future__ import annotations

import numpy as np
import pytest

from bfly.databases.memory.sorted import SortedSynapses
from bfly.databases.nodb import Nodb
from bfly.geometry import BoundingBox
from bfly.tables.columns import inside
from bfly.testing.databases import DatabaseSuite, random_synapses


class TestNodb(DatabaseSuite):
    durable = False

    def open(self, place, runtime):
        return Nodb(place, runtime)


@pytest.mark.parametrize("side", [1, 100, 1000, 10_000])
def test_a_neuron_with_many_synapses_or_few_in_a_box(side):
    synapses = random_synapses(20_000, neurons=5)
    table = SortedSynapses("synapse", synapses)
    box = BoundingBox.of_shape((side,) * 3, (1500, 1500, 1500))
    for neuron in (*np.unique(synapses["n1"]).tolist(), 3):
        key = np.uint64(neuron)
        rows = inside(synapses, box) & ((synapses["n1"] == key) | (synapses["n2"] == key))
        found = table.of(neuron, box)
        assert found.keys() == synapses.keys()
        for name, column in found.items():
            assert column.dtype == synapses[name].dtype
            assert column.tolist() == synapses[name][rows].tolist()
