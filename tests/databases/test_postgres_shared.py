"""Two servers on one PostgreSQL: edits written through one are served by the other."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx

from bfly.butterfly import runtime_of
from bfly.config.config import Config
from bfly.databases.postgres import Postgres
from bfly.server.webserver import Webserver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AT = {"experiment": "e", "sample": "s", "dataset": "d"}


@contextmanager
def butterfly(config: Config, address: str) -> Iterator[tuple[Postgres, httpx.Client]]:
    """Serve a configuration with its database on a server."""
    database = Postgres(address, runtime_of(config)).load_config(config.dump())
    server = Webserver(database, config)
    thread = threading.Thread(target=server.start, args=(0,), daemon=True)
    thread.start()
    assert server.wait()
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=30) as client:
        yield database, client
    server.stop()
    thread.join(15)


def test_a_row_added_through_one_is_seen_through_the_other(
    new_database: str, tmp_path: Path
) -> None:
    dataset = {"name": "d", "path": str(tmp_path)}
    tree = [{"name": "e", "samples": [{"name": "s", "datasets": [dataset]}]}]
    config = Config.parse({"bfly": {"experiments": tree}}, "t.yaml")
    big = 2**64 - 1
    with (
        butterfly(config, new_database) as (first, _),
        butterfly(config, new_database) as (second, client),
    ):
        parent = {**AT, "feature": "synapse_parent", "id": 0}
        assert client.get("/api/entity_feature", params=parent).json() == {}
        first.add_synapses(str(tmp_path), [[big, 7, 1, 2, 3]])
        first.add_neurons(str(tmp_path), [[big, 1, 2, 3]])
        assert client.get("/api/entity_feature", params=parent).json() == {
            "synapse_id": 0,
            "synapse_parent_pre": big,
            "synapse_parent_post": 7,
        }
        second.add_entry("synapse", str(tmp_path), {"__id": 0, "n2": 9})
        assert first.synapse_parent("synapse", str(tmp_path), 0)["synapse_parent_post"] == 9
