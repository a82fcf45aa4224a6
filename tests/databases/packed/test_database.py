from __future__ import annotations

import json
import threading
from bisect import bisect_right
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bfly.databases.lod import TOP
from bfly.databases.nodb import Nodb
from bfly.databases.packed import external_sort as spool
from bfly.databases.packed.curve import Curve
from bfly.databases.packed.database import EVERYTHING, KINDS, Gone, PackedDatabase
from bfly.databases.packed.rows import RowLayout, WordList
from bfly.errors import BadRequest, DatabaseError
from bfly.geometry import BoundingBox
from bfly.keywords import RUNTIME
from bfly.tables.columns import inside
from bfly.testing.databases import DatabaseSuite, random_synapses

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bfly.databases.packed.database import Pack
    from bfly.tables.columns import Columns

NEURON_FROM = list(zip(("neuron", *"zyx"), ("n1", *"zyx"), strict=True))
TIERS = ((0, 0), (0, TOP), (1, 1), (1, TOP), (2, 3))
EVERYWHERE = BoundingBox((-(2**62),) * 3, (2**62,) * 3)


class Dictionaries(PackedDatabase):
    """The smallest engine: what it keeps are dictionaries."""

    def __init__(self, path: str, runtime: RUNTIME) -> None:
        super().__init__(path, runtime)
        self._lock = threading.RLock()
        self.words: dict[str, str] = {}
        self.sets: dict[tuple[int, str], dict[bytes, bytes]] = {}
        self._check_version()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            words, sets = dict(self.words), {name: dict(old) for name, old in self.sets.items()}
            try:
                yield
            except BaseException:
                self.words, self.sets = words, sets
                raise

    def _get(self, name: str) -> str | None:
        with self._lock:
            return self.words.get(name)

    def _set(self, name: str, value: str) -> None:
        self.words[name] = value

    def _create(self, number: int) -> None:
        self.sets |= {(number, kind): {} for kind in KINDS}

    def _drop(self, number: int) -> None:
        for kind in KINDS:
            del self.sets[number, kind]

    def _packs(self, number: int, kind: str) -> dict[bytes, bytes]:
        if (number, kind) not in self.sets:
            raise Gone
        return self.sets[number, kind]

    def _read(self, number: int, kind: str, ranges: list[tuple[bytes, bytes]]) -> list[Pack]:
        with self._lock:
            packs = self._packs(number, kind)
            keys, found = sorted(packs), []
            for low, high in ranges:
                first = max(0, bisect_right(keys, low) - 1)
                found += [(key, packs[key]) for key in keys[first : bisect_right(keys, high)]]
            return found

    def _scan(
        self, number: int, kind: str, ranges: list[tuple[bytes, bytes]] = EVERYTHING
    ) -> Iterator[Pack]:
        yield from sorted(dict(self._read(number, kind, ranges)).items())

    def _write(self, number: int, kind: str, packs: Iterable[Pack]) -> None:
        self._packs(number, kind).update(packs)

    def _remove(self, number: int, kind: str, keys: Iterable[bytes]) -> None:
        for key in keys:
            self._packs(number, kind).pop(key, None)


class TestDictionaries(DatabaseSuite):
    durable = False
    queries = 400

    def open(self, place: str, runtime: RUNTIME) -> Dictionaries:
        return Dictionaries(place, runtime)


@pytest.fixture
def database() -> Dictionaries:
    return Dictionaries("", RUNTIME())


def equal(one: Columns, other: Columns) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and one[name].tolist() == other[name].tolist()
        for name in one
    )


coordinates = st.integers(-(2**63), 2**63 - 1) | st.integers(-3000, 3000)
corners = st.tuples(coordinates, coordinates, coordinates)
ids = st.integers(0, 2**64 - 1)
shifts = st.tuples(*[st.integers(0, 12)] * 3)


@given(shifts, st.lists(corners, min_size=1, max_size=50), corners, corners, st.integers(1, 200))
def test_ranges_hold_every_place_of_a_box(shift, points, one, other, most):
    curve = Curve(shift)
    box = BoundingBox(tuple(map(min, one, other)), tuple(map(max, one, other)))
    z, y, x = (np.array(axis, np.int64) for axis in zip(*points, strict=True))
    z, y, x = (np.append(axis, a) for axis, a in zip((z, y, x), box.start, strict=True))
    within = inside({"z": z, "y": y, "x": x}, box)
    numbers = curve.numbers(z, y, x)
    ranges = curve.ranges(box, most)
    assert len(ranges) <= most
    for number in numbers[within].tolist():
        assert any(first <= number <= last for first, last in ranges)
    assert all(after[0] > before[1] + 1 for before, after in pairwise(ranges))


@given(st.tuples(*[st.integers(-40, 40)] * 3), st.tuples(*[st.integers(1, 5)] * 3))
def test_ranges_of_a_small_box_are_exact(start, shape):
    curve, box = Curve((0, 0, 0)), BoundingBox.of_shape(shape, start)
    z, y, x = np.meshgrid(
        *[np.arange(a, a + n) for a, n in zip(start, shape, strict=True)], indexing="ij"
    )
    numbers = curve.numbers(z.ravel(), y.ravel(), x.ravel())
    covered = [n for a, b in curve.ranges(box, 125) for n in range(a, b + 1)]
    assert sorted(numbers.tolist()) == covered


def test_cells_are_flat_where_the_volume_is_and_reach_far_enough():
    random = np.random.default_rng(0)
    flat = [random.integers(0, extent, 5000) for extent in (1000, 16_000, 16_000)]
    assert Curve.fit(flat).shift == (0, 4, 4)
    cube = [random.integers(-(2**30), 2**30, 5000) for _ in range(3)]
    numbers = Curve.fit(cube).numbers(*cube)
    assert len(np.unique(numbers)) > 4900


extras = st.fixed_dictionaries(
    {},
    optional={
        "score": st.floats(width=32),
        "size": st.integers(-(2**31), 2**31 - 1),
        "kind": st.text(max_size=4),
        "note": st.sampled_from(["", "ACh", "\0", "\N{GREEK SMALL LETTER ALPHA}", '"']),
    },
)


@given(st.data())
def test_packs_give_back_what_was_packed(data):
    names = list(data.draw(extras))
    kinds = {"score": np.float32, "size": np.int32, "kind": object, "note": object}
    draw = {"score": st.floats(width=32, allow_nan=False), "size": st.integers(-9, 9)}
    columns: Columns = {}
    count = data.draw(st.integers(0, 30))

    def several(values):
        return data.draw(st.lists(values, min_size=count, max_size=count))

    for name in ("__id", "n1", "n2"):
        columns[name] = np.array(several(ids), np.uint64)
    for name in "zyx":
        columns[name] = np.array(several(coordinates), np.int64)
    for name in names:
        columns[name] = np.array(several(draw.get(name, st.text(max_size=4))), kinds[name])
    layout, texts = RowLayout("synapse").including(columns), WordList()
    rows = layout.rows(columns, texts)
    blobs = [layout.pack(rows[:7], texts), layout.pack(rows[7:], texts)]
    assert equal(layout.columns(*layout.unpack(blobs)), columns)


@pytest.fixture
def small(monkeypatch):
    """Make packs and buckets small, so that few rows fill many of them."""
    sizes = dict.fromkeys(KINDS, 5)
    monkeypatch.setattr("bfly.databases.packed.keys.SIZES", sizes)
    monkeypatch.setattr("bfly.databases.packed.update.SIZES", sizes)
    monkeypatch.setattr("bfly.databases.packed.external_sort.BUCKET", 64)
    monkeypatch.setattr("bfly.databases.packed.external_sort.CHUNK", 50)
    monkeypatch.setattr("bfly.databases.packed.reads.SEVERAL", 3)


def some_rows(random, count, ids=60, neurons=6, extent=40):
    """Return synapses with few ids, neurons and places, so that they meet."""
    rows: Columns = {"__id": random.integers(0, ids, count).astype(np.uint64) << np.uint64(58)}
    for name in ("n1", "n2"):
        rows[name] = random.integers(2**64 - neurons, 2**64, count, np.uint64)
    for name in "zyx":
        rows[name] = random.integers(-extent, extent, count)
    rows["score"] = random.random(count).astype(np.float32)
    rows["kind"] = random.choice(
        np.array(["ACh", "GABA", "\N{GREEK SMALL LETTER ALPHA}"], object), count
    )
    return rows


def by_id(rows):
    order = np.argsort(rows["__id"])
    return {name: column[order] for name, column in rows.items()}


def agree(database, oracle, path="p"):
    """Compare every answer on a dataset with that of the database in memory."""
    box = BoundingBox((-20, -20, -20), (15, 15, 15))
    for table in ("synapse", "neuron"):
        known = oracle.ids(table, path)
        assert database.ids(table, path).tolist() == known.tolist()
        assert database.count(table, path) == len(known)
        asked = np.append(known[::-1], np.array([1, 2**64 - 1], np.uint64))
        assert equal(database.rows(table, path, asked), oracle.rows(table, path, asked))
        for number in asked.tolist():
            entry = oracle.get_by_key(table, path, number)
            assert database.get_by_key(table, path, number) == entry
    for each in (box, EVERYWHERE):
        found = database.synapses_in(path, each)
        assert equal(found, oracle.synapses_in(path, each))
        assert database.ids_in(path, each).tolist() == found["__id"].tolist()
        for first, last in TIERS:
            expected = oracle.thinned(path, first, last, each)
            assert equal(by_id(database.thinned(path, first, last, each)), by_id(expected))
    found = database.ranges(path)
    for name, (low, high) in oracle.ranges(path).items():
        assert found[name][0] <= low <= high <= found[name][1]
    for neuron in (*oracle.ids("neuron", path).tolist(), *range(2**64 - 7, 2**64)):
        for each in (box, None):
            expected = oracle.synapses_of(path, neuron, each)
            assert equal(database.synapses_of(path, neuron, each), expected)
        for side, expected in zip(
            database.partners(path, neuron), oracle.partners(path, neuron), strict=True
        ):
            assert sorted(side.tolist()) == sorted(expected.tolist())
        for each in (box, None):
            batches = list(database.scan(path, each, neuron))
            assert max(len(batch["z"]) for batch in batches) <= 3 * 2 * 5
            found = sorted(n for batch in batches for n in batch["__id"].tolist())
            assert found == oracle.synapses_of(path, neuron, each)["__id"].tolist()
    batches = list(database.scan(path, box))
    found = sorted(n for batch in batches for n in batch["__id"].tolist())
    assert found == oracle.ids_in(path, box).tolist()
    batches = list(database.scan(path))
    assert [n for batch in batches for n in batch["__id"].tolist()] == oracle.ids(
        "synapse", path
    ).tolist()


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("seed", range(3))
def test_edited_packs_equal_memory(database, seed):
    random = np.random.default_rng(seed)
    oracle = Nodb("", RUNTIME())
    first = some_rows(random, 40)
    for each in (database, oracle):
        each.replace("p", "f", [], [first])
    for count in (1, 1, 1, 5, 40, 1, 80):
        rows = some_rows(random, count, extent=random.choice([3, 40, 10**6]))
        neurons = {name: rows[old] for name, old in NEURON_FROM}
        for each in (database, oracle):
            each.upsert("synapse", "p", rows)
            each.upsert("neuron", "p", neurons)
        agree(database, oracle)
    sizes = [len(pack) for (_, kind), packs in database.sets.items() for pack in packs.values()]
    assert min(sizes) > 0
    assert database.fingerprint("p") == "f"


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("neurons", [2, 30, 400])
def test_packing_in_buckets_equals_memory(database, neurons):
    """Also where a neuron, or a place, has more rows than a bucket."""
    random = np.random.default_rng(neurons)
    oracle = Nodb("", RUNTIME())
    rows = some_rows(random, 900, ids=64, neurons=neurons, extent=2)
    rows["__id"] = random.permutation(np.repeat(np.arange(450, dtype=np.uint64), 2))
    somas = {name: rows[old][:300] for name, old in NEURON_FROM}
    halves = [{name: column[at::2] for name, column in rows.items()} for at in (0, 1)]
    told: list[float] = []
    for each in (database, oracle):
        each.replace("p", "f", [somas], halves, told.append)
    assert len(told) > 10
    assert told == sorted(told)
    # All in the end, but for ids that come twice.
    assert told[-1] > 0.4
    agree(database, oracle)


def test_a_neuron_in_parts_lies_at_its_first_synapse(database, small):
    """Where links of one neuron fill buckets, the synapse of lowest id is in any of them."""
    oracle = Nodb("", RUNTIME())
    rows = some_rows(np.random.default_rng(0), 600, neurons=1)
    rows["__id"] = np.random.default_rng(1).permutation(600).astype(np.uint64)
    for each in (database, oracle):
        each.replace("p", "f", [], [rows])
    agree(database, oracle)


def test_rows_that_need_another_layout(database):
    """Further columns, larger numbers and places may come later."""
    oracle = Nodb("", RUNTIME())
    rows = some_rows(np.random.default_rng(0), 30)
    plain = {name: rows[name][:10] for name in ("__id", "n1", "n2", *"zyx")}
    far = {**rows, "z": rows["z"] * 2**40, "score": rows["score"] / np.float64(3)}
    for each in (database, oracle):
        for columns in (plain, rows, far):
            each.upsert("synapse", "p", columns)
    agree(database, oracle)
    small: Columns = {"neuron": np.array([3], np.uint64), "size": np.array([200], np.uint8)}
    small |= {name: np.array([0]) for name in "zyx"}
    large = {**small, "neuron": np.array([4], np.uint64), "size": np.array([-70_000])}
    for columns in (small, large):
        database.upsert("neuron", "p", columns)
    sizes = database.rows("neuron", "p", np.array([3, 4], np.uint64))["size"]
    assert sizes.tolist() == [200, -70_000]


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ([1, 2], ["a", "b"], "kind holds numbers"),
        (["a", "b"], [1, 2], "kind holds text"),
        ([-1, 2], [2**63, 2**63 + 1], "negative numbers and those from 2\\^63"),
        ([1j, 2], [1, 2], "complex128"),
    ],
)
def test_columns_that_cannot_be_one(database, one, other, words):
    point = {name: np.zeros(2, np.int64) for name in "zyx"}
    rows: list[Columns] = []
    for values in (one, other):
        kind = np.array(values, object if isinstance(values[0], str) else None)
        rows.append({"neuron": np.array([1, 2], np.uint64), **point, "kind": kind})
    if words != "complex128":
        database.upsert("neuron", "p", rows.pop(0))
    with pytest.raises(BadRequest, match=words):
        database.upsert("neuron", "p", rows[0])
    assert database.count("neuron", "p") == 2 * (len(rows) == 1)


def test_texts_are_kept_once_while_they_are_remembered(monkeypatch):
    monkeypatch.setattr(spool, "RECENT", 2)
    files = []

    def new_file():
        files.append(spool.temporary_file(None))
        return files[-1]

    heap = spool.TextStore(new_file)
    words = ["a", "b", "a", "c", "a", "\N{GREEK SMALL LETTER ALPHA}"]
    numbers = heap.add(np.array(words, object))
    assert numbers[0] == numbers[2] != numbers[4]
    assert json.loads(heap.json(numbers)) == words
    files[0].close()


def test_another_version_is_refused():
    class Later(Dictionaries):
        def _get(self, name):
            return "99" if name == "version" else super()._get(name)

    with pytest.raises(DatabaseError, match="version 99"):
        Later("old.db", RUNTIME())


def test_a_set_that_is_lost_is_said_so(database):
    database.replace("p", "f", [], [random_synapses(10)])
    database.sets.clear()
    with pytest.raises(DatabaseError, match="lost the tables of p"):
        database.ids("neuron", "p")


def test_a_load_in_the_midst_of_a_scan_is_said_so(database, small):
    database.replace("p", "f", [], [random_synapses(100)])
    rows = database.scan("p")
    next(rows)
    database.replace("p", "g", [], [random_synapses(100)])
    assert sum(len(batch["z"]) for batch in database.scan("p")) == 100


@settings(max_examples=30)
@given(st.lists(st.tuples(ids, corners), min_size=1, max_size=40))
def test_ids_and_places_of_any_size(rows):
    database = Dictionaries("", RUNTIME())
    numbers, points = zip(*dict(rows).items(), strict=True)
    columns: Columns = {name: np.array(numbers, np.uint64) for name in ("__id", "n1")}
    columns["n2"] = columns["n1"][::-1].copy()
    for name, axis in zip("zyx", zip(*points, strict=True), strict=True):
        columns[name] = np.array(axis, np.int64)
    database.replace("p", "f", [], [columns])
    order = np.argsort(columns["__id"])
    expected = {name: column[order] for name, column in columns.items()}
    whole = BoundingBox((-(2**63),) * 3, (2**63,) * 3)
    assert equal(database.synapses_in("p", whole), expected)
    for number, point in zip(numbers, points, strict=True):
        found = database.synapses_in("p", BoundingBox.of_shape((1, 1, 1), point))
        assert number in found["__id"].tolist()
