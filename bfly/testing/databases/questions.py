"""Tests that random queries have the same results as numpy."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from bfly.databases.lod import TOP
from bfly.geometry import BoundingBox
from bfly.tables.columns import concatenated, inside
from bfly.testing.databases.base import (
    EVERYWHERE,
    NEURON,
    PATH,
    SYNAPSE,
    DatabaseTests,
    neurons_of,
    random_synapses,
)

if TYPE_CHECKING:
    from bfly.databases.engine import Engine
    from bfly.tables.columns import Columns

__all__ = ["QuestionTests"]


class QuestionTests(DatabaseTests):
    """Results equal those of a comparison with every row."""

    def test_random_questions_equal_numpy(self, database: Engine) -> None:
        """Random queries on 200,000 random synapses equal numpy."""
        synapses = random_synapses(200_000, seed=3, neurons=2000)
        database.replace(PATH, "random", [], [synapses])
        random = np.random.default_rng(4)
        names = np.array(sorted(neurons_of(synapses)), np.uint64)
        assert np.array_equal(database.ids(NEURON, PATH), names)
        for i in range(self.queries):
            # Around or beside a synapse, so that most results are not empty.
            row, shape = random.integers(200_000), random.integers(0, 800, 3)
            start = [synapses[axis][row] for axis in "zyx"] - random.integers(-50, shape + 50)
            box = BoundingBox.of_shape(tuple(shape.tolist()), tuple(start.tolist()))
            of_it = synapses[random.choice(["n1", "n2"])][row]
            neuron = int(random.choice(names) if i % 3 == 0 else of_it)
            match i % 4:
                case 0:
                    self._check_point(database, synapses, int(random.integers(0, 200_100)))
                case 1:
                    self._check_box(database, synapses, box)
                case 2:
                    self._check_children(database, synapses, neuron, box)
                case 3:
                    self._check_partners(database, synapses, neuron)

    def _check_point(self, database: Engine, synapses: Columns, number: int) -> None:
        entry = database.get_by_key(SYNAPSE, PATH, number)
        if number >= len(synapses["z"]):
            assert entry == {}
        else:
            assert entry == {name: column[number].item() for name, column in synapses.items()}

    def _check_box(self, database: Engine, synapses: Columns, box: BoundingBox) -> None:
        expected = np.flatnonzero(inside(synapses, box)).tolist()
        assert database.synapse_ids(SYNAPSE, PATH, box.start, box.stop) == expected
        for ids in (database.ids_in(PATH, box), database.synapses_in(PATH, box)["__id"]):
            assert ids.dtype == np.uint64
            assert ids.tolist() == expected

    def _check_children(
        self, database: Engine, synapses: Columns, neuron: int, box: BoundingBox
    ) -> None:
        key = np.uint64(neuron)
        side = (synapses["n1"] == key) + 2 * (synapses["n2"] == key)
        rows = np.flatnonzero(inside(synapses, box) & (side > 0))
        expected = dict(zip(rows.tolist(), side[rows].tolist(), strict=True))
        assert database.neuron_children(SYNAPSE, PATH, neuron, box.start, box.stop) == expected

    def _check_partners(self, database: Engine, synapses: Columns, neuron: int) -> None:
        key = np.uint64(neuron)
        after, before = database.partners(PATH, neuron)
        assert sorted(after.tolist()) == sorted(synapses["n2"][synapses["n1"] == key].tolist())
        assert sorted(before.tolist()) == sorted(synapses["n1"][synapses["n2"] == key].tolist())

    def test_scans_equal_numpy(self, database: Engine) -> None:
        """A scan of a box, of a neuron, of both and of all yields each of their rows once."""
        synapses = random_synapses(200_000, seed=3, neurons=50)
        database.replace(PATH, "random", [], [synapses])
        random = np.random.default_rng(5)
        names = random.choice(np.array(sorted(neurons_of(synapses)), np.uint64), 4).tolist()
        corners = random.integers(-600, 2000, (3, 3)).tolist()
        boxes = [
            BoundingBox.of_shape((2 * size,) * 3, tuple(corner))
            for size, corner in zip((0, 300, 3000), corners, strict=True)
        ]
        for neuron, box in product([None, *names], [None, *boxes]):
            hit = np.ones(200_000, bool) if box is None else inside(synapses, box)
            if neuron is not None:
                hit &= (synapses["n1"] == np.uint64(neuron)) | (synapses["n2"] == np.uint64(neuron))
            batches = list(database.scan(PATH, box, neuron))
            assert all(batch.keys() == synapses.keys() for batch in batches)
            found = concatenated(SYNAPSE, batches)
            order = np.argsort(found["__id"])
            for name, column in synapses.items():
                assert np.array_equal(found[name][order], column[hit])

    def test_synapses_of_several_neurons_equal_numpy(self, database: Engine) -> None:
        """Those of many neurons come once each, as one answer and as a scan, in a box or not.

        Neurons without synapses, and neurons that are not there, have none.
        """
        synapses = random_synapses(50_000, seed=8, neurons=3000)
        database.replace(PATH, "random", [], [synapses])
        random = np.random.default_rng(9)
        names = np.array(sorted(neurons_of(synapses)), np.uint64)
        box = BoundingBox.of_shape((900, 900, 900), (-100, 200, 0))
        for count in (0, 1, 2, 700, len(names)):
            some = random.choice(names, count, replace=False)
            some = np.unique(np.append(some, np.array([2**63 + 5, 2**64 - 2], np.uint64)))
            for where in (None, box):
                hit = np.isin(synapses["n1"], some) | np.isin(synapses["n2"], some)
                hit &= True if where is None else inside(synapses, where)
                answer = database.synapses_of_any(PATH, some, where)
                batches = list(database.scan_of_any(PATH, some, where))
                assert all(batch.keys() == synapses.keys() for batch in (answer, *batches))
                scanned = concatenated(SYNAPSE, batches)
                order = np.argsort(scanned["__id"])
                for name, column in synapses.items():
                    assert np.array_equal(answer[name], column[hit])
                    assert np.array_equal(scanned[name][order], column[hit])
        for path, none in (("/nowhere", names[:9]), (PATH, names[:0])):
            assert len(database.synapses_of_any(path, none)["n1"]) == 0
            assert sum(len(batch["n1"]) for batch in database.scan_of_any(path, none)) == 0

    def test_tiers(self, database: Engine) -> None:
        """Each synapse is in one tier; an eighth of those left is above each tier, in any box."""
        synapses = random_synapses(30_000, seed=5)
        database.replace(PATH, "tiers", [], [synapses])
        tiers, left = [], 30_000
        for tier in range(4):
            ids = database.thinned(PATH, tier, tier, EVERYWHERE)["__id"]
            above = database.thinned(PATH, tier + 1, TOP, EVERYWHERE)["__id"]
            assert len(ids) + len(above) == left
            assert abs(len(above) - left / 8) < 4 * (left / 8) ** 0.5
            tiers.append(set(ids.tolist()))
            left = len(above)
        assert sum(map(len, tiers)) + left == len(set.union(*tiers)) + left == 30_000
        box = BoundingBox((0, 500, 1000), (1500, 2500, 2500))
        expected = set(synapses["__id"][inside(synapses, box)].tolist())
        for tier in range(4):
            found = database.thinned(PATH, tier, tier, box)
            assert set(found["__id"].tolist()) == expected & tiers[tier]
            rows = database.rows(SYNAPSE, PATH, found["__id"])
            assert all(np.array_equal(found[name], rows[name]) for name in rows)
        assert len(database.thinned("/unknown", 0, TOP, box)["__id"]) == 0
