"""The ASGI application: dispatches requests to protocols and queries to the core."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from string import punctuation
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from bfly import registry
from bfly.concurrency.admission import Abandoned, Ticket
from bfly.cutouts.streamed import Stream
from bfly.errors import Absent, Busy, ButterflyError, Moved
from bfly.protocols.ready import FinishedQuery
from bfly.protocols.statuses import STATUSES, status_of
from bfly.server.conditional import preflight, send_response, send_text
from bfly.server.handler import Handler
from bfly.server.negotiation import preferred
from bfly.server.request import Request
from bfly.server.response import Response
from bfly.server.streaming import StartedStream, start_stream
from bfly.server.websocket import WebsocketEndpoint

if TYPE_CHECKING:
    from collections.abc import Collection

    from bfly.config.config import Config
    from bfly.core.core import Core
    from bfly.protocols.protocol import Protocol
    from bfly.server.asgi import Receive, Scope, Send

__all__ = ["STATUSES", "Application"]

log = logging.getLogger(__name__)

PROMPT = 0.05
"""Seconds of work on an answer after which the server starts to watch for a disconnect."""

POSTED = "what is posted"
"""Group of work of all requests with a body (see `Admission`)."""

MOST_POSTS = 64
"""Requests with a body at once: each body may take 1 MiB."""


class Application:
    """Answers HTTP: finished answers at once from the cache, all others from the pool.

    Parameters
    ----------
    core : Core
        Answers the queries.
    config : Config
        The channels and settings.
    """

    def __init__(self, core: Core, config: Config) -> None:
        self._core = core
        self._config = config
        self._edition = 0
        self._handler = Handler(core)
        self._protocols: dict[str, Protocol] = {}
        for protocol in registry.find("protocols").values():
            self._protocols |= dict.fromkeys(protocol.prefixes, protocol(config))
        self._shared = {prefix.partition("/")[0] for prefix in self._protocols if "/" in prefix}
        self._sockets = WebsocketEndpoint(core, config)
        self._posts = 0
        self._under_way: dict[str, _Flight] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI 3 defines."""
        if scope["type"] == "websocket":
            await self._sockets(scope, receive, send)
            return
        request = Request(scope, receive)
        method = request.method
        if method == "OPTIONS":
            await preflight(request, send)
            return
        as_json = False
        try:
            protocol, path = self._protocol(request.path)
            as_json = protocol.errors_are_json
            answer: Response | StartedStream
            allowed = sorted([*protocol.methods(path), "OPTIONS"])
            if method not in allowed:
                message = f"The method {method} is not in {allowed}."
                allow = [(b"allow", ", ".join(allowed).encode())]
                await send_text(send, 405, message, method, allow)
                return
            if method == "POST" or (method == "GET" and protocol.takes_body(path)):
                answer = await self._taken(protocol, path, request)
            else:
                answer = await self._found(protocol, path, request)
        except ButterflyError as error:
            status = status_of(error)
            if status >= 500:
                log.warning("%s %s: %s", status, request.path, error)
            extra = []
            if isinstance(error, Busy):
                extra.append((b"retry-after", b"%d" % error.retry_after))
            elif isinstance(error, Moved):
                question = quote(request.query_string, punctuation, "latin-1")
                kept = "" if "?" in error.address else f"?{question}"
                extra.append((b"location", f"{error.address}{kept}".rstrip("?").encode()))
            await send_text(send, status, str(error), method, extra, as_json)
        except Abandoned:
            log.debug("The client of %s is gone.", request.path)
        except Exception:
            log.exception("500 %s", request.path)
            await send_text(
                send,
                500,
                "This is a mistake in Butterfly; its log says more.",
                method,
                as_json=as_json,
            )
        else:
            if isinstance(answer, StartedStream):
                await answer.send(send)
            else:
                await send_response(answer, request, send)

    def allow_changes(self, config_file: str | None) -> None:
        """Let requests change the YAML file of the configuration; None forbids it."""
        for protocol in self._protocols.values():
            protocol.config_file = config_file

    @property
    def prefixes(self) -> Collection[str]:
        """First segments of the paths that are answered."""
        return self._protocols.keys()

    def _protocol(self, path: str) -> tuple[Protocol, str]:
        """Return the protocol that answers a path, and the path without its prefix."""
        prefix, _, rest = path.lstrip("/").partition("/")
        protocol = self._protocols.get(prefix)
        if prefix in self._shared:
            protocol = self._protocols.get(f"{prefix}/{rest.partition('/')[0]}", protocol)
        if protocol is None:
            raise Absent(f"There is no page {path}; there are {sorted(self._protocols)}.")
        return protocol, rest

    async def _found(
        self, protocol: Protocol, path: str, request: Request
    ) -> Response | StartedStream:
        """Answer GET or HEAD: at once from the cache, or else from the pool."""
        if protocol.immediate:
            query = protocol.query(path, {})
            assert isinstance(query, FinishedQuery)
            return Response.make(query.body, query.mime_type, extra=query.headers)
        offers = protocol.offers
        accept = preferred(request.headers.get(b"accept", b""), offers) if offers else ""
        codings = request.codings
        address = request.address if protocol.needs_address else ""
        given = {name: text for name, text in (("accept", accept), ("address", address)) if text}
        key = f"answer:{self._edition}:{request.target} {accept} {address} {' '.join(codings)}"
        kept: Response | None = self._core.recall(key) or None
        if kept is not None and kept.is_fresh():
            response = kept
        else:
            asked = kept, protocol, path, request.query_string, given, codings
            made = await self._made(request, key, *asked)
            if isinstance(made, Stream):
                return await start_stream(made, request, self._core.in_background)
            response = made
        # Streams do not reach this: a bulk copy in large cutouts must not slow itself down.
        self._core.background.make_room()
        return response

    async def _taken(self, protocol: Protocol, path: str, request: Request) -> Response:
        """Answer a request with a body: POST, or a GET that has one."""
        if self._posts >= MOST_POSTS:
            raise Busy(f"There are {self._posts} requests with a body now.")
        self._posts += 1
        try:
            body = await request.body(protocol.largest_body)
            # Not suspendable, hence never repeated: the work may store something.
            ticket = Ticket(POSTED, suspendable=False)
            posts = request.method == "POST"
            work = self._handler.post if posts else self._handler.ask
            words = request.address, request.query_string
            asked = protocol, path, body, *words, request.codings
            response = await self._core.in_pool.run(ticket, work, *asked)
            if protocol.config is not self._config:
                self._adopt(protocol.config)
            return response
        finally:
            self._posts -= 1

    def _adopt(self, config: Config) -> None:
        """Use a changed configuration from now on; no answer of the former one is used again."""
        self._config = config
        self._edition += 1
        for protocol in {*self._protocols.values()}:
            protocol.config = config
        self._sockets.config = config

    async def _made(self, request: Request, key: str, *asked: Any) -> Response | Stream:
        """Make an answer in the pool; concurrent requests for the same share it (single flight).

        Raises
        ------
        Abandoned
            The client is gone.
        """
        # Edits change the name: a client that has just edited must see the result.
        name = f"{self._core.edits.changes} {key}"
        flight = self._under_way.get(name)
        if flight is None:
            self._core.prefetcher.hold()
            flight = self._under_way[name] = _Flight()
            work = self._core.in_pool.run(flight.ticket, self._handler.get, key, *asked)
            flight.future = asyncio.ensure_future(work)
            flight.future.add_done_callback(partial(self._landed, name, flight))
        return await flight.land(request)

    def _landed(self, name: str, flight: _Flight, done: asyncio.Future[Response | Stream]) -> None:
        if self._under_way.get(name) is flight:
            del self._under_way[name]
        if not self._under_way:
            self._core.prefetcher.go_on()
        if not done.cancelled():
            # Mark an error as retrieved, even if all clients are gone.
            done.exception()


class _Flight:
    """Work on one answer, shared by all clients that wait for it."""

    def __init__(self) -> None:
        self.ticket = Ticket()
        self.future: asyncio.Future[Response | Stream]
        self._waiting = 0

    async def land(self, request: Request) -> Response | Stream:
        """Return the answer, or raise `Abandoned` once the client is gone."""
        self._waiting += 1
        gone = None
        try:
            await asyncio.wait([self.future], timeout=PROMPT)
            if not self.future.done():
                gone = asyncio.ensure_future(request.gone())
                both: list[asyncio.Future[Any]] = [self.future, gone]
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not self.future.done():
                raise Abandoned
            return self.future.result()
        finally:
            self._waiting -= 1
            self.ticket.abandoned = not self._waiting and not self.future.done()
            if gone is not None:
                gone.cancel()
