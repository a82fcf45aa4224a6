"""Middleware that checks ``Host`` and ``Origin`` of every request, websockets included."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from bfly.errors import ButterflyError, NotAllowed
from bfly.protocols.statuses import status_of
from bfly.server.conditional import refuse_handshake, send_text
from bfly.server.hosts import Hosts
from bfly.server.origins import Origins, is_own

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from bfly.config.config import Config
    from bfly.protocols.ready import Headers
    from bfly.server.asgi import ASGIApplication, Receive, Scope, Send

__all__ = ["HeaderGuard"]

log = logging.getLogger(__name__)

READING = frozenset({"GET", "HEAD", "OPTIONS"})

MOST_TOLD = 100
"""Refusals remembered so that each is logged once; beyond this number, all are forgotten."""


class HeaderGuard:
    """ASGI middleware that refuses requests with a host or an origin that is not allowed.

    Parameters
    ----------
    application : callable
        The inner ASGI application.
    config : Config
        Has the allowed hosts and origins.
    """

    def __init__(self, application: ASGIApplication, config: Config) -> None:
        self._application = application
        self._hosts = Hosts(config.host, config.allowed_hosts)
        self._origins = Origins(config.allowed_origins)
        self._told: set[str] = set()

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Handle a request (ASGI 3)."""
        sent = scope["headers"]
        headers = dict(sent)
        # Fast path: most requests have a host that was checked before.
        checked = len(headers) == len(sent) and headers.get(b"host") in self._hosts.checked
        if not checked or not is_own(headers):
            try:
                granted = self._check(scope, headers)
            except ButterflyError as error:
                self._tell(error)
                return _refuse(scope, receive, send, error)
            if granted:
                send = _granting(granted, send)
        return self._application(scope, receive, send)

    def _check(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Headers:
        """Check host and origin; return CORS headers as `Origins.check`, errors as both checks."""
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        self._hosts.check(hosts, scope["http_version"])
        host = hosts[0].decode("latin-1") if hosts else ""
        return self._origins.check(headers, host, _writes(scope, headers))

    def _tell(self, error: ButterflyError) -> None:
        text = str(error)
        if isinstance(error, NotAllowed) and text not in self._told:
            if len(self._told) >= MOST_TOLD:
                self._told.clear()
            self._told.add(text)
            log.warning("%s", text)


def _writes(scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
    if scope["type"] == "websocket":
        return True
    method = scope["method"]
    if method == "OPTIONS":
        wanted = headers.get(b"access-control-request-method", b"GET")
        return wanted.decode("latin-1").upper() not in READING
    return method not in READING


def _granting(granted: Headers, send: Send) -> Send:
    """Return a `send` that adds headers to the response."""

    async def sending(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            # A page that may read a response may also show it as an image.
            headers = [h for h in message["headers"] if h[0] != b"cross-origin-resource-policy"]
            message = {**message, "headers": [*headers, *granted]}
        await send(message)

    return sending


async def _refuse(scope: Scope, receive: Receive, send: Send, error: ButterflyError) -> None:
    status = status_of(error)
    if scope["type"] == "websocket":
        await receive()
        await refuse_handshake(scope, send, status, str(error))
    else:
        # Another page may be allowed, so caches must not store the refusal.
        extra = [(b"cache-control", b"no-store")]
        await send_text(send, status, str(error), scope["method"], extra)
