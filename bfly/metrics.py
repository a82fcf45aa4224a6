"""Counters for ``/metrics``, in the text format of Prometheus.

Several workers (see `bfly.commands.supervisor`) keep their counts in files of one folder. The
environment names that folder before this module is imported. Any worker then answers for all.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

__all__ = [
    "CACHE",
    "CONTENT_TYPE_LATEST",
    "CacheMetrics",
    "FOLDER",
    "REQUESTS",
    "SECONDS",
    "SENT",
    "TILES_READ",
    "mark_process_dead",
    "page",
]


class CacheMetrics(NamedTuple):
    """What a cache counts.

    Parameters
    ----------
    hits, misses : Counter
        Look-ups.
    nbytes : Gauge
        Bytes in use.
    """

    hits: Counter
    misses: Counter
    nbytes: Gauge


FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable with the folder that workers share."""

REQUESTS = Counter("bfly_requests", "Requests answered.", ["protocol", "status"])
SECONDS = Histogram("bfly_request_seconds", "Until the last byte was handed over.", ["protocol"])
SENT = Counter("bfly_sent_bytes", "Bytes of bodies handed over.", ["protocol"])
_LOOKUPS = Counter("bfly_cache_lookups", "Look-ups in the cache.", ["result"])
_BYTES = Gauge("bfly_cache_bytes", "Memory that the cache takes.", multiprocess_mode="livesum")
CACHE = CacheMetrics(_LOOKUPS.labels("hit"), _LOOKUPS.labels("miss"), _BYTES)
TILES_READ = Counter("bfly_tiles_read", "Boxes read from sources, most of them a tile.")


def page() -> bytes:
    """Return all counts as text, summed over the workers."""
    if FOLDER not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
