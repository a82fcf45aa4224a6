"""Loading from batches, and what is kept of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from bfly.testing.databases.base import (
    BIG,
    EVERYWHERE,
    NEURON,
    PATH,
    SYNAPSE,
    DatabaseTests,
    neurons_of,
    random_synapses,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bfly.databases.engine import Engine
    from bfly.tables.columns import Columns

__all__ = ["LoadTests"]


class LoadTests(DatabaseTests):
    """A load replaces both tables of a dataset, or changes nothing."""

    def test_replace(self, database: Engine, place: str) -> None:
        """A load takes the place of what was there, neurons without soma get a place."""
        database.add_synapses(PATH, [[1, 2, 3, 4, 5]])
        synapses = random_synapses(1000)
        somas: Columns = {
            "neuron": np.array([17, BIG], np.uint64),
            **{name: np.array([1, 2]) for name in "zyx"},
        }
        halves: list[Columns] = [
            {name: column[half] for name, column in synapses.items()}
            for half in (slice(0, 400), slice(400, None))
        ]
        assert database.fingerprint(PATH) == ""
        told: list[float] = []
        database.replace(PATH, "one", [somas], halves, told.append)
        assert told == sorted(told)
        assert all(0 < part <= 1 for part in told)
        assert database.fingerprint(PATH) == "one"
        assert set(database.all_neurons(NEURON, PATH)) == neurons_of(synapses) | {17, BIG}
        assert database.neuron_keypoint(NEURON, PATH, BIG, 1) == {"z": 2, "y": 2, "x": 2}
        lone = next(iter(neurons_of(synapses) - {17, BIG}))
        key = np.uint64(lone)
        post, pre = synapses["n2"] == key, synapses["n1"] == key
        row = int(np.argmax(post if post.any() else pre))
        expected = {name: int(synapses[name][row]) for name in "zyx"}
        assert database.neuron_keypoint(NEURON, PATH, lone, 1) == expected
        for again in self.reopened(place):
            assert again.fingerprint(PATH) == "one"
            assert len(again.ids(SYNAPSE, PATH)) == 1000
        database.replace(PATH, "two", [], [])
        assert database.all_neurons(NEURON, PATH) == []
        assert len(database.ids(SYNAPSE, PATH)) == 0

    def test_a_load_that_fails_changes_nothing(self, database: Engine) -> None:
        """An error in the files leaves the old tables."""
        database.replace(PATH, "one", [], [random_synapses(100)])

        def broken() -> Iterator[Columns]:
            yield random_synapses(50)
            raise ValueError("row 51 is bad")

        with pytest.raises(ValueError, match="row 51"):
            database.replace(PATH, "two", [], broken())
        assert database.fingerprint(PATH) == "one"
        assert len(database.ids(SYNAPSE, PATH)) == 100

    def test_more_columns_are_kept(self, database: Engine) -> None:
        """Numbers and text beyond the documented columns come back as they were."""
        more: Columns = {
            "score": np.linspace(0, 1, 300),
            "type": np.array([f"t{i % 3} é" for i in range(300)], object),
            "size": np.arange(300, dtype=np.int32),
        }
        database.replace(PATH, "one", [], [{**random_synapses(300), **more}])
        entry = database.get_by_key(SYNAPSE, PATH, 299)
        assert (entry["score"], entry["type"], entry["size"]) == (1.0, "t2 é", 299)
        found = database.rows(SYNAPSE, PATH, np.array([7, 3], np.uint64))
        assert found["size"].tolist() == [7, 3]
        none = database.rows(SYNAPSE, PATH, np.empty(0, np.uint64))
        assert {name: column.dtype for name, column in none.items()} == {
            name: column.dtype for name, column in found.items()
        }
        (scanned,) = (batch for batch in database.scan(PATH) if len(batch["z"]))
        for rows in (database.synapses_in(PATH, EVERYWHERE), scanned):
            order = np.argsort(rows["__id"])
            assert np.array_equal(rows["score"][order], more["score"])
            assert rows["type"][order].tolist() == more["type"].tolist()

    def test_every_change_is_another_state(self, database: Engine, place: str) -> None:
        """A change is noticed also with the same number of rows, and by another instance."""
        states = [database.state(PATH)]
        for change in (
            lambda: database.replace(PATH, "one", [], [random_synapses(100)]),
            lambda: database.add_entry(SYNAPSE, PATH, {"__id": 7, "n1": 5}),
            lambda: database.add_entry(SYNAPSE, PATH, {"__id": 7, "n1": 6}),
            lambda: database.add_neurons(PATH, [[1, 2, 3, 4]]),
            lambda: database.replace(PATH, "one", [], [random_synapses(100)]),
        ):
            change()
            states.append(database.state(PATH))
            for again in self.reopened(place):
                assert again.state(PATH) == states[-1]
        assert len(set(states)) == 6
        assert database.state(PATH) == states[-1]

    def test_ranges(self, database: Engine) -> None:
        """The lowest and highest values of columns with numbers, NaN left out."""
        assert database.ranges(PATH) == {}
        rows = random_synapses(50)
        score = np.linspace(-1, 2, 50)
        score[7] = np.nan
        kind = np.array(["a"] * 50, object)
        database.replace(PATH, "one", [], [{**rows, "score": score, "kind": kind}])
        found = database.ranges(PATH)
        assert found["score"] == (-1, 2)
        assert found["z"] == (rows["z"].min(), rows["z"].max())
        assert found["n2"] == (int(rows["n2"].min()), int(rows["n2"].max()))
        assert "kind" not in found
        database.add_entry(SYNAPSE, PATH, {"__id": 99, "z": 10**6, "score": -5.0})
        assert database.ranges(PATH)["z"] == (rows["z"].min(), 10**6)
        assert database.ranges(PATH)["score"] == (-5, 2)
