"""``/metrics`` counts requests and reads, in the format of Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h5py
import numpy as np
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

CHUNK = "/pre/exp::sam::dat/em/raw/0/0-32_0-32_0-32"


def counts(client: httpx.Client) -> dict[tuple[str, ...], float]:
    """Return all samples by their name and the values of their labels."""
    got = client.get("/metrics")
    assert got.headers["content-type"].startswith("text/plain; version=")
    assert got.headers["cache-control"] == "no-store"
    families = text_string_to_metric_families(got.text)
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def test_requests_bytes_cache_and_tiles_are_counted(tmp_path: Path, serve, make_tree) -> None:
    path = tmp_path / "em.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("main", data=np.ones((32, 32, 32), "u1"), chunks=(32, 32, 32))
    with serve(make_tree({"name": "em", "path": str(path)})) as client:
        client.headers["accept-encoding"] = "identity"
        before = counts(client)
        for _ in range(3):
            assert len(client.get(CHUNK).content) == 32**3
        assert client.get("/pre/exp::sam::dat/em/raw/0/0-1_0-1_0-99").status_code == 404
        assert client.get("/no-such-page").status_code == 404
        after = counts(client)

    def more(*key: str) -> float:
        return after[key] - before.get(key, 0)

    assert more("bfly_requests_total", "pre", "200") == 3
    assert more("bfly_requests_total", "pre", "404") == 1
    assert more("bfly_requests_total", "other", "404") == 1
    assert more("bfly_requests_total", "metrics", "200") == 1
    assert more("bfly_request_seconds_count", "pre") == 4
    assert more("bfly_request_seconds_sum", "pre") > 0
    assert 3 * 32**3 < more("bfly_sent_bytes_total", "pre") < 3 * 32**3 + 1000
    assert more("bfly_tiles_read_total") == 1
    assert more("bfly_cache_lookups_total", "hit") >= 2
    assert more("bfly_cache_lookups_total", "miss") >= 1
    assert after["bfly_cache_bytes",] > 32**3
