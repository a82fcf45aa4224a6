"""Middleware: an ASGI application around another, which sees every request and response.

Authentication would belong here as well.
"""

from __future__ import annotations

from functools import cache
from time import perf_counter
from typing import TYPE_CHECKING, Any

from bfly.metrics import REQUESTS, SECONDS, SENT

if TYPE_CHECKING:
    from collections.abc import Collection

    from prometheus_client import Counter, Histogram

    from bfly.server.asgi import ASGIApplication, Receive, Scope, Send

__all__ = ["Measured"]


class Measured:
    """ASGI middleware that counts and times responses, for ``/metrics``.

    Parameters
    ----------
    application : callable
        The inner ASGI application.
    prefixes : collection of str
        First parts of paths that are counted separately; others count as ``other``.
    """

    def __init__(self, application: ASGIApplication, prefixes: Collection[str]) -> None:
        self._application = application
        self._prefixes = frozenset(prefixes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request (ASGI 3)."""
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
