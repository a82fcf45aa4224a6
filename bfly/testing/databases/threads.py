"""Many threads that write, and many that read meanwhile."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.testing.databases.base import EVERYWHERE, PATH, SYNAPSE, DatabaseTests, random_synapses

if TYPE_CHECKING:
    from bfly.databases.engine import Engine
    from bfly.tables.columns import Columns

__all__ = ["ThreadTests"]


class ThreadTests(DatabaseTests):
    """Changes are seen whole, and none is lost."""

    def test_readers_see_whole_changes(self, database: Engine) -> None:
        """While loads follow each other, a reader sees one of them and never a mixture."""
        loads: list[Columns] = []
        for i in range(2):
            rows = random_synapses(2000)
            loads.append({**rows, "n1": np.full(2000, i + 1, np.uint64)})
        database.replace(PATH, "0", [], [loads[0]])
        stop, wrong = threading.Event(), []

        def read() -> None:
            while not stop.is_set():
                seen = set(database.synapses_in(PATH, EVERYWHERE)["n1"].tolist())
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
        """A change of one value of an entry does not undo changes of its other values."""
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
