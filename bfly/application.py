"""The ASGI application: protocols in front of the core, and the table of errors."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, TypeVar

from bfly import registry
from bfly.answer import Answer
from bfly.errors import (
    Absent,
    BadRequest,
    Busy,
    ButterflyError,
    DatabaseError,
    MissingLibrary,
    NotAllowed,
    SourceError,
    TooLarge,
)
from bfly.making import Maker
from bfly.negotiation import preferred
from bfly.request import Request
from bfly.respond import preflight, respond, send_text
from bfly.streaming import Begun, Streamed
from bfly.websocket import Sockets

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from bfly.config import Config
    from bfly.core import Core
    from bfly.protocols.protocol import Protocol
    from bfly.respond import Send
    from bfly.websocket import Receive

__all__ = ["STATUSES", "Application"]

log = logging.getLogger(__name__)

T = TypeVar("T")

STATUSES: dict[type[ButterflyError], int] = {
    TooLarge: 413,
    BadRequest: 400,
    NotAllowed: 403,
    Absent: 404,
    Busy: 503,
    MissingLibrary: 503,
    DatabaseError: 503,
    SourceError: 503,
}
"""From an error to the status that it is answered with; the first class that fits counts."""


class Application:
    """Answers HTTP, a finished answer from the cache at once and all else from the pool.

    Parameters
    ----------
    core : Core
        Answers the queries.
    config : Config
        What is served.
    """

    def __init__(self, core: Core, config: Config) -> None:
        self._core = core
        self._maker = Maker(core)
        self._protocols: dict[str, Protocol] = {}
        for protocol in registry.find("protocols").values():
            self._protocols |= dict.fromkeys(protocol.prefixes, protocol(config))
        self._sockets = Sockets(core, config)
        self._under_way: dict[str, asyncio.Future[Answer | Streamed]] = {}

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI 3 has it."""
        if scope["type"] == "websocket":
            await self._sockets(scope, receive, send)
            return
        request = Request(scope, receive)
        method = request.method
        if method == "OPTIONS":
            await preflight(request, send)
            return
        try:
            protocol, path = self._protocol(request.path)
            if method in ("GET", "HEAD"):
                answer = await self._found(protocol, path, request)
            elif method == "POST" and protocol.largest_body:
                answer = await self._taken(protocol, path, request)
            else:
                allowed = ["GET", "HEAD", "OPTIONS", *["POST"] * bool(protocol.largest_body)]
                message = f"The method {method} is not in {allowed}."
                allow = [(b"allow", ", ".join(allowed).encode())]
                await send_text(send, 405, message, method, allow)
                return
        except ButterflyError as error:
            status = next(status for kind, status in STATUSES.items() if isinstance(error, kind))
            if status >= 500:
                log.warning("%s %s: %s", status, request.path, error)
            extra = []
            if isinstance(error, Busy):
                extra.append((b"retry-after", b"%d" % error.retry_after))
            await send_text(send, status, str(error), method, extra)
        except Exception:
            log.exception("500 %s", request.path)
            await send_text(send, 500, "This is a mistake in Butterfly; its log says more.", method)
        else:
            if isinstance(answer, Begun):
                await answer.send(send)
            else:
                await respond(answer, request, send)

    @property
    def prefixes(self) -> Collection[str]:
        """The first parts of the paths that are answered."""
        return self._protocols.keys()

    def _protocol(self, path: str) -> tuple[Protocol, str]:
        """Give the protocol that answers a path, and the path without its prefix."""
        prefix, _, rest = path.lstrip("/").partition("/")
        protocol = self._protocols.get(prefix)
        if protocol is None:
            raise Absent(f"There is no page {path}; there are {sorted(self._protocols)}.")
        return protocol, rest

    async def _found(self, protocol: Protocol, path: str, request: Request) -> Answer | Begun:
        """Answer GET or HEAD: from the cache at once, or else by the pool."""
        offers = protocol.offers
        accept = preferred(request.headers.get(b"accept", b""), offers) if offers else ""
        codings = request.codings
        key = f"answer:{request.target} {accept} {' '.join(codings)}"
        known: Answer | Streamed = self._core.recall(key)
        if not isinstance(known, Answer) or not known.is_fresh():
            known = await self._made(key, protocol, path, request.query_string, accept, codings)
        if isinstance(known, Streamed):
            return await known.begin(request, self._in_background)
        # Not so for streams: who copies a volume in large cutouts would stand in their own way.
        self._core.background.make_room()
        return known

    async def _taken(self, protocol: Protocol, path: str, request: Request) -> Answer:
        """Answer POST."""
        body = await request.body(protocol.largest_body)
        posted = protocol, path, body, request.address, request.codings
        return await self._pooled(self._maker.take, *posted)

    async def _pooled(self, work: Callable[..., T], *arguments: Any) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._core.executor, work, *arguments)

    async def _in_background(self, work: Callable[..., T], *arguments: Any) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._core.background.executor, work, *arguments)

    async def _made(self, key: str, *asked: Any) -> Answer | Streamed:
        """Make an answer in the pool; who asks for the same meanwhile gets the same."""
        # Unless something was edited since: who has just done that must see it.
        flight = f"{self._core.edits.changes} {key}"
        future = self._under_way.get(flight)
        if future is None:
            self._core.ahead.hold()
            work = self._pooled(self._maker.make, key, *asked)
            future = self._under_way[flight] = asyncio.ensure_future(work)
            future.add_done_callback(lambda done: self._landed(flight, done))
        return await asyncio.shield(future)

    def _landed(self, flight: str, done: asyncio.Future[Answer | Streamed]) -> None:
        self._under_way.pop(flight, None)
        if not self._under_way:
            self._core.ahead.go_on()
        if not done.cancelled():
            # Whoever asked may be gone; then nobody else takes notice of an error.
            done.exception()
