"""The contract of a database engine as a test suite.

Derive a class and say how a database is opened; pytest then runs everything below::

    class TestMyEngine(DatabaseSuite):
        durable = True

        @pytest.fixture
        def place(self, tmp_path):
            return str(tmp_path / "my.db")

        def open(self, place, runtime):
            return MyEngine(place, runtime)
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest

from bfly.databases.columns import concatenated, inside
from bfly.databases.tiers import TOP
from bfly.errors import BadRequest
from bfly.geometry import BoundingBox
from bfly.keywords import RUNTIME
from bfly.testing.database_files import FileTests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bfly.databases.columns import Columns
    from bfly.databases.engine import Engine

__all__ = ["DatabaseSuite", "random_synapses"]

SYNAPSE, NEURON = "synapse", "neuron"
PATH = "/data/set"
BIG = 2**64 - 1


def random_synapses(count: int, seed: int = 0, neurons: int = 500, extent: int = 4000) -> Columns:
    """Give synapses in clusters, between neurons with ids over all 64 bits, some with pre = post.

    Parameters
    ----------
    count, neurons : int
        How many.
    seed : int
        The same seed gives the same synapses.
    extent : int
        Of the volume, in voxels; some coordinates are negative.
    """
    random = np.random.default_rng(seed)
    names = np.unique(random.integers(0, 2**64, neurons, np.uint64))
    names[-1] = BIG
    weights = 1 / np.arange(1, len(names) + 1)
    pre, post = random.choice(names, (2, count), p=weights / weights.sum())
    centres = random.integers(-extent // 8, extent, (32, 3))
    points = centres[random.integers(0, 32, count)] + random.normal(0, extent / 20, (count, 3))
    z, y, x = points.astype(np.int64).T
    ids = np.arange(count, dtype=np.uint64)
    return {"__id": ids, "n1": pre, "n2": post, "z": z, "y": y, "x": x}


def neurons_of(columns: Columns) -> set[int]:
    """Give the neurons that synapses name."""
    return set(columns["n1"].tolist()) | set(columns["n2"].tolist())


class DatabaseSuite(FileTests):
    """What every engine has to pass.

    Attributes
    ----------
    durable : bool
        Whether a second instance at the same place finds what the first one wrote.
    queries : int
        How many random questions are asked of 200,000 synapses.
    """

    durable: ClassVar[bool] = True
    queries: ClassVar[int] = 20_000

    @pytest.fixture
    def place(self) -> str:
        """Give an empty place for a database: what the class takes as ``path``."""
        return ""

    @abstractmethod
    def open(self, place: str, runtime: RUNTIME) -> Engine:
        """Open the database at a place, made new if there is none."""

    @pytest.fixture
    def database(self, place: str) -> Engine:
        """Give an empty database with the tables of one dataset."""
        database = self.open(place, RUNTIME())
        database.add_path("/data/set/em.h5", PATH)
        database.add_tables(PATH)
        return database

    def reopened(self, place: str) -> Iterator[Engine]:
        """Give a second instance, where there can be one."""
        if self.durable:
            yield self.open(place, RUNTIME())

    def test_paths(self, database: Engine, place: str) -> None:
        """A channel's path leads to its dataset, also after a restart."""
        assert database.get_path("/data/set/em.h5") == PATH
        assert database.get_path("/other") == ""
        database.add_path("/data/set/em.h5", "/elsewhere")
        assert database.get_path("/data/set/em.h5") == "/elsewhere"
        database.commit()
        for again in self.reopened(place):
            assert again.get_path("/data/set/em.h5") == "/elsewhere"

    def test_tables(self, database: Engine) -> None:
        """Tables can be added twice; a table that nobody added is none."""
        for table in RUNTIME.DB.TABLE.LIST:
            assert database.add_table(table, PATH)
            assert database.get_table(table, PATH) is not None
            assert database.get_table(table, "/unknown") is None

    def test_empty(self, database: Engine) -> None:
        """Empty tables, and datasets that nobody knows, have nothing."""
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
        row = int(np.argmax((synapses["n1"] == key) | (synapses["n2"] == key)))
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
        everything = BoundingBox((-(10**6),) * 3, (10**6,) * 3)
        (scanned,) = (batch for batch in database.scan(PATH) if len(batch["z"]))
        for rows in (database.synapses_in(PATH, everything), scanned):
            order = np.argsort(rows["__id"])
            assert np.array_equal(rows["score"][order], more["score"])
            assert rows["type"][order].tolist() == more["type"].tolist()

    def test_tiers(self, database: Engine) -> None:
        """Each synapse is in one tier, an eighth of the rest in the next; wherever they lie."""
        synapses = random_synapses(30_000, seed=5)
        database.replace(PATH, "tiers", [], [synapses])
        everything = BoundingBox((-(10**6),) * 3, (10**6,) * 3)
        tiers, left = [], 30_000
        for tier in range(4):
            ids = database.thinned(PATH, tier, tier, everything)["__id"]
            above = database.thinned(PATH, tier + 1, TOP, everything)["__id"]
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

    def test_every_change_is_another_state(self, database: Engine, place: str) -> None:
        """Also one that leaves the number of rows, and seen by whoever else looks."""
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

    def test_random_questions_equal_numpy(self, database: Engine) -> None:
        """Random questions to 200,000 random synapses are answered as numpy does."""
        synapses = random_synapses(200_000, seed=3, neurons=2000)
        database.replace(PATH, "random", [], [synapses])
        random = np.random.default_rng(4)
        names = np.array(sorted(neurons_of(synapses)), np.uint64)
        assert np.array_equal(database.ids(NEURON, PATH), names)
        for i in range(self.queries):
            # Around or beside a synapse, so that most answers have something in them.
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
        """A scan of a box, of a neuron, of both and of all gives each of their rows once."""
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

    def test_readers_see_whole_changes(self, database: Engine) -> None:
        """While loads follow each other, a reader sees one of them and never a mixture."""
        loads: list[Columns] = []
        for i in range(2):
            rows = random_synapses(2000)
            loads.append({**rows, "n1": np.full(2000, i + 1, np.uint64)})
        database.replace(PATH, "0", [], [loads[0]])
        stop, wrong = threading.Event(), []

        def read() -> None:
            everything = BoundingBox((-(10**6),) * 3, (10**6,) * 3)
            while not stop.is_set():
                seen = set(database.synapses_in(PATH, everything)["n1"].tolist())
                if len(seen) != 1:
                    wrong.append(seen)

        readers = [threading.Thread(target=read) for _ in range(4)]
        for reader in readers:
            reader.start()
        for i in range(6):
            database.replace(PATH, str(i), [], [loads[i % 2]])
        stop.set()
        for reader in readers:
            reader.join()
        assert not wrong

    def test_many_threads_write(self, database: Engine) -> None:
        """Entries written by many threads at once are all there."""

        def write(first: int) -> None:
            for number in range(first, first + 25):
                row: dict[str, Any] = {"__id": number, "n1": first, "n2": 5, "z": number}
                database.add_entry(SYNAPSE, PATH, row)

        writers = [threading.Thread(target=write, args=(100 * i,)) for i in range(8)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        expected = sorted(100 * i + j for i in range(8) for j in range(25))
        assert database.ids(SYNAPSE, PATH).tolist() == expected
        assert len(database.partners(PATH, 5)[1]) == 200

    def test_many_threads_and_instances_change_parts_of_one_entry(
        self, database: Engine, place: str
    ) -> None:
        """Who changes one value of an entry does not undo what others do to the rest of it."""
        databases = [database, *self.reopened(place)]
        wrong: list[Any] = []

        def change(number: int, name: str) -> None:
            for value in range(1, 26):
                opened = databases[(number + value) % len(databases)]
                opened.add_entry(SYNAPSE, PATH, {"__id": 5, name: value})
                found = opened.get_by_key(SYNAPSE, PATH, 5)[name]
                if found != value:
                    wrong.append((name, value, found))

        writers = [
            threading.Thread(target=change, args=part) for part in enumerate(("n1", "n2", *"zyx"))
        ]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert not wrong

    def test_many_threads_and_instances_add(self, database: Engine, place: str) -> None:
        """Synapses that are added at once do not get the same ids."""
        databases = [database, *self.reopened(place)]
        added: list[int] = []

        def add(first: int) -> None:
            for z in range(first, first + 10):
                row = [1, 2, z, 0, 0]
                entries = databases[z % len(databases)].add_synapses(PATH, [row, row])
                added.extend(entry["__id"] for entry in entries)

        adders = [threading.Thread(target=add, args=(10 * i,)) for i in range(8)]
        for adder in adders:
            adder.start()
        for adder in adders:
            adder.join()
        assert sorted(added) == list(range(160))
        assert sorted(database.rows(SYNAPSE, PATH, np.arange(160, dtype=np.uint64))["z"]) == sorted(
            2 * list(range(80))
        )

    def test_there_is_no_id_above_the_last(self, database: Engine) -> None:
        """Synapses are added up to the last id of 64 bits, and refused beyond."""
        database.add_entry(SYNAPSE, PATH, {"__id": BIG - 1, "n1": 1})
        with pytest.raises(BadRequest, match="below 2\\^64"):
            database.add_synapses(PATH, [[1, 2, 3, 4, 5]] * 2)
        assert database.add_synapses(PATH, [[1, 2, 3, 4, 5]])[0]["__id"] == BIG
        assert database.ids(SYNAPSE, PATH).tolist() == [BIG - 1, BIG]
