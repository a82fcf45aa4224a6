"""The ASGI application: protocols in front of the core, and the table of errors."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl

from bfly import registry
from bfly.errors import (
    Absent,
    BadRequest,
    ButterflyError,
    DatabaseError,
    MissingLibrary,
    NotAllowed,
    SourceError,
    TooLarge,
)
from bfly.queries.annotation import AnnotationQuery
from bfly.queries.data import DataQuery
from bfly.queries.dataset import DatasetQuery
from bfly.queries.feature import FeatureQuery, RowsQuery
from bfly.queries.finished import FinishedQuery
from bfly.queries.label import LabelQuery
from bfly.queries.overview import CountsQuery
from bfly.queries.query import LABELS
from bfly.respond import (
    Answer,
    accepted,
    preferred,
    preflight,
    read_body,
    respond,
    send_text,
    stream,
)
from bfly.websocket import Sockets

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping

    from bfly.config import Config
    from bfly.core import Core
    from bfly.protocols.protocol import Protocol
    from bfly.queries.info import InfoQuery
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
        self._protocols: dict[str, Protocol] = {}
        for protocol in registry.find("protocols").values():
            self._protocols |= dict.fromkeys(protocol.prefixes, protocol(config))
        self._sockets = Sockets(core, config)
        self._under_way: dict[str, asyncio.Future[Answer | RowsQuery]] = {}

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI 3 has it."""
        if scope["type"] == "websocket":
            await self._sockets(scope, receive, send)
            return
        headers = dict(scope["headers"])
        method = scope["method"]
        if method == "OPTIONS":
            await preflight(headers, send)
            return
        # A range counts the bytes of the voxels, so they are not packed for it.
        codings = accepted(headers.get(b"accept-encoding", b""), headers.get(b"user-agent", b""))
        if b"range" in headers:
            codings = ()
        query_string = scope["query_string"].decode("latin-1")
        try:
            protocol, path = self._protocol(scope["path"])
            allowed = ["GET", "HEAD", "OPTIONS", *["POST"] * bool(protocol.largest_body)]
            if method not in allowed:
                message = f"The method {method} is not in {allowed}."
                allow = [(b"allow", ", ".join(allowed).encode())]
                await send_text(send, 405, message, method, allow)
                return
            accept = preferred(headers.get(b"accept", b""), protocol.offers)
            asked = f"{scope['raw_path'].decode('latin-1')}?{query_string}"
            key = f"answer:{asked} {accept} {' '.join(codings)}"
            answer: Answer | RowsQuery
            if method == "POST":
                body = await read_body(receive, headers, protocol.largest_body)
                address = f"{scope['scheme']}://{headers.get(b'host', b'').decode('latin-1')}"
                answer = await self._pooled(self._posted, protocol, path, body, address, codings)
            else:
                known = self._core.recall(key)
                if not known or not known.is_fresh():
                    known = await self._made(key, protocol, path, query_string, accept, codings)
                answer = known
            if isinstance(answer, RowsQuery):
                # What is wrong shows at the first rows, while there is still a status to send.
                chunks = await self._pooled(self._core.get_rows, answer)
                first = await self._pooled(next, chunks, b"")
        except ButterflyError as error:
            status = next(status for kind, status in STATUSES.items() if isinstance(error, kind))
            if status >= 500:
                log.warning("%s %s: %s", status, scope["path"], error)
            await send_text(send, status, str(error), method)
        except Exception:
            log.exception("500 %s", scope["path"])
            await send_text(send, 500, "This is a mistake in Butterfly; its log says more.", method)
        else:
            if isinstance(answer, RowsQuery):
                following = self._following(first, chunks)
                await stream(following, answer.mime_type, method, send)
            else:
                await respond(answer, method, headers, send)

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

    async def _pooled(self, work: Callable[..., T], *arguments: Any) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._core.executor, work, *arguments)

    async def _following(self, first: bytes, chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
        """Give the chunks of a stream, each made in the pool once the one before is sent."""
        chunk: bytes | None = first
        while chunk is not None:
            yield chunk
            chunk = await self._pooled(next, chunks, None)

    async def _made(self, key: str, *asked: Any) -> Answer | RowsQuery:
        """Make an answer in the pool; who asks for the same meanwhile gets the same."""
        # Unless something was edited since: who has just done that must see it.
        flight = f"{self._core.edits.changes} {key}"
        future = self._under_way.get(flight)
        if future is None:
            work = self._pooled(self._make, key, *asked)
            future = self._under_way[flight] = asyncio.ensure_future(work)
            future.add_done_callback(lambda done: self._landed(flight, done))
        return await asyncio.shield(future)

    def _landed(self, flight: str, done: asyncio.Future[Answer | RowsQuery]) -> None:
        self._under_way.pop(flight, None)
        if not done.cancelled():
            # Whoever asked may be gone; then nobody else takes notice of an error.
            done.exception()

    def _make(
        self,
        key: str,
        protocol: Protocol,
        path: str,
        query_string: str,
        accept: str,
        codings: tuple[str, ...],
    ) -> Answer | RowsQuery:
        parameters = dict(parse_qsl(query_string, keep_blank_values=True))
        query = protocol.query(path, parameters | {"accept": accept} if accept else parameters)
        query.labels = LABELS.read("labels", parameters.get("labels", query.labels))
        if isinstance(query, RowsQuery):
            return query
        known: Answer | None = self._core.recall(key) or None
        if known and query.path:
            now = self._core.update_query(query)
            if known.volume is now["volume"] and known.state is now.get("state"):
                return known
        stored = self._core.get_stored(query, codings) if isinstance(query, DataQuery) else None
        body, coding = stored or (self._body(query), "")
        answer = Answer.make(
            body,
            query.mime_type,
            query.known_volume,
            codings,
            ["accept"] if protocol.offers else (),
            query.headers,
            query.state,
            coding,
        )
        if query.lasting:
            self._core.remember(key, answer)
        return answer

    def _posted(
        self, protocol: Protocol, path: str, body: bytes, address: str, codings: tuple[str, ...]
    ) -> Answer:
        query = protocol.post(path, body, address)
        headers = [*query.headers, (b"cache-control", b"no-store")]
        return Answer.make(self._body(query), query.mime_type, None, codings, extra=headers)

    def _body(self, query: DataQuery | InfoQuery) -> bytes | memoryview:
        if isinstance(query, FinishedQuery):
            return query.body
        if isinstance(query, LabelQuery):
            return self._core.get_labels(query).encode()
        if isinstance(query, DataQuery):
            return self._core.get_data(query)
        if isinstance(query, DatasetQuery):
            return self._core.get_dataset(query).encode()
        if isinstance(query, AnnotationQuery):
            return self._core.get_annotations(query)
        if isinstance(query, FeatureQuery):
            return self._core.get_feature(query).encode()
        if isinstance(query, CountsQuery):
            return self._core.get_counts(query).encode()
        if query.path:
            return self._core.get_info(query).encode()
        return self._core.get_groups(query).encode()
