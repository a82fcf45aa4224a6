"""Counts of what is done, for ``/metrics``: in the text format of Prometheus.

Several workers (see `bfly.supervisor`) keep their counts in files of one folder, which the
environment names before this module is imported; any of them then answers for all.
"""

from __future__ import annotations

import os
from functools import cache
from time import perf_counter
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping

    Scope = Mapping[str, Any]
    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]
    Application = Callable[[Scope, Receive, Send], Awaitable[None]]

__all__ = [
    "CACHE_BYTES",
    "CACHE_HITS",
    "CACHE_MISSES",
    "CONTENT_TYPE_LATEST",
    "FOLDER",
    "Measured",
    "TILES_READ",
    "mark_process_dead",
    "page",
]

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable with the folder that workers share."""

REQUESTS = Counter("bfly_requests", "Requests answered.", ["protocol", "status"])
SECONDS = Histogram("bfly_request_seconds", "Until the last byte was handed over.", ["protocol"])
SENT = Counter("bfly_sent_bytes", "Bytes of bodies handed over.", ["protocol"])
_LOOKUPS = Counter("bfly_cache_lookups", "Look-ups in the cache.", ["result"])
CACHE_HITS, CACHE_MISSES = _LOOKUPS.labels("hit"), _LOOKUPS.labels("miss")
CACHE_BYTES = Gauge("bfly_cache_bytes", "Memory that the cache takes.", multiprocess_mode="livesum")
TILES_READ = Counter("bfly_tiles_read", "Boxes read from sources, most of them a tile.")


def page() -> bytes:
    """Give all counts, summed over the workers."""
    if FOLDER not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


class Measured:
    """An ASGI application around another, which counts what that answers.

    Parameters
    ----------
    application : callable
        The other.
    prefixes : collection of str
        The first parts of paths that are told apart; all else counts as ``other``.
    """

    def __init__(self, application: Application, prefixes: Collection[str]) -> None:
        self._application = application
        self._prefixes = frozenset(prefixes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, as ASGI 3 has it."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        begun, status, size = perf_counter(), 0, 0

        async def counted(message: dict[str, Any]) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                size += len(message["body"])
            await send(message)

        try:
            await self._application(scope, receive, counted)
        finally:
            prefix = scope["path"].lstrip("/").partition("/")[0]
            protocol = prefix if prefix in self._prefixes else "other"
            requests, seconds, sent = _counters(protocol, status)
            requests.inc()
            seconds.observe(perf_counter() - begun)
            sent.inc(size)


@cache
def _counters(protocol: str, status: int) -> tuple[Counter, Histogram, Counter]:
    return REQUESTS.labels(protocol, status), SECONDS.labels(protocol), SENT.labels(protocol)
