"""A segment of many supervoxels is one question to the database, not one a supervoxel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bfly.connectome.edited_tables import Merged
from bfly.databases.packed import links
from bfly.databases.postgres import Postgres
from bfly.databases.sqlite import Sqlite
from bfly.edits.channel import ChannelEdits
from bfly.edits.log import MemoryLog
from bfly.edits.message import Save
from bfly.geometry import BoundingBox
from bfly.keywords import RUNTIME

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bfly.databases.packed.database import PackedDatabase

SUPERVOXELS = 3000


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> PackedDatabase:
    if request.param == "sqlite":
        return Sqlite(str(tmp_path / "bfly.db"), RUNTIME())
    return Postgres(request.getfixturevalue("new_database"), RUNTIME())


@pytest.fixture
def tables(database: PackedDatabase) -> Merged:
    """20,000 synapses of 6,000 supervoxels, of which every second one is in the segment 2."""
    random = np.random.default_rng(0)
    count = 20_000
    synapses: dict[str, np.ndarray] = {"__id": np.arange(count, dtype=np.uint64)}
    for side in ("n1", "n2"):
        synapses[side] = random.integers(1, 2 * SUPERVOXELS + 1, count).astype(np.uint64)
    synapses |= {axis: random.integers(0, 1000, count) for axis in "zyx"}
    neurons = {"neuron": np.arange(1, 2 * SUPERVOXELS + 1, dtype=np.uint64)}
    neurons |= {axis: np.zeros(2 * SUPERVOXELS, np.int64) for axis in "zyx"}
    database.replace("/d", "files", [neurons], [synapses])
    channel = ChannelEdits("/seg", MemoryLog())
    ids = tuple(range(2, 2 * SUPERVOXELS + 1, 2))
    channel.append(lambda state: Save((ids,), ()).operations(state, "Ada", None))
    return Merged(database, "/seg", channel.state)


def counted(database: PackedDatabase, question: Callable[[], Any]) -> int:
    """Return how many statements a question takes, by the store's own account."""
    statements: list[str] = []
    if isinstance(database, Sqlite):
        with database._file.connected() as connection:
            connection.set_trace_callback(statements.append)
        question()
        connection.set_trace_callback(None)
        return len(statements)
    ask = database._server.ask
    database._server.ask = lambda query, *words: (statements.append(query), ask(query, *words))[1]
    question()
    database._server.ask = ask
    return len(statements)


def test_a_segment_is_one_statement(tables: Merged, database: PackedDatabase) -> None:
    box = BoundingBox.of_shape((500, 500, 500), (0, 0, 0))
    tables.partners("/d", 2)  # the dataset is looked up once
    for question, most in (
        (lambda: tables.partners("/d", 2), 1),
        (lambda: tables.synapses_of("/d", 2), 1),
        (lambda: tables.neuron_children("synapse", "/d", 2, box.start, box.stop), 2),
        (lambda: tables.is_neuron("neuron", "/d", 2), 2),
        (lambda: tables.neuron_keypoint("neuron", "/d", 2, 1), 2),
        # The dataset, how much each supervoxel has, and the rows.
        (lambda: list(tables.scan("/d", neuron=2)), 4),
    ):
        assert 0 < counted(database, question) <= most


def test_a_long_scan_is_in_shares_of_bounded_memory(
    tables: Merged, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tables.synapses_of("/d", 2)
    monkeypatch.setattr(links, "SHARE", 20_000)
    batches = list(tables.scan("/d", neuron=2))
    assert len(batches) > 20
    assert max(len(batch["n1"]) for batch in batches) < 1000
    ids = np.concatenate([batch["__id"] for batch in batches])
    assert np.array_equal(np.sort(ids), whole["__id"])
    assert len(whole["n1"]) > 10_000
