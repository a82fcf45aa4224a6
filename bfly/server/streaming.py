"""Sending of streamed answers, part by part, while they are made."""

from __future__ import annotations

import asyncio
import itertools
import logging
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from bfly.concurrency.admission import Abandoned, Ticket
from bfly.encoders.encoder import GZIP, packed_parts
from bfly.errors import Absent, ButterflyError
from bfly.server.conditional import outcome, place_of
from bfly.server.response import AGE, EVERY, is_packable, worth_packing
from bfly.storage.files import FARTHEST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from bfly.concurrency.admission import Admission
    from bfly.cutouts.streamed import Part, Stream
    from bfly.protocols.ready import Headers
    from bfly.server.asgi import Send
    from bfly.server.request import Request

__all__ = ["StartedStream", "start_stream"]

log = logging.getLogger(__name__)

PIECE = 256 << 10
"""Bytes per ASGI message. Each is a copy, so that the part can be overwritten while it is sent. The
size is small, so that other answers need not wait for it."""

MOST_AT_ONCE = 32 << 20
"""Bytes of the longest range of a file of unknown size; a longer one is answered with the file."""


async def start_stream(stream: Stream, request: Request, pool: Admission) -> StartedStream:
    """Make the first part of an answer, so that an error can still set the status.

    Parameters
    ----------
    stream : Stream
        The answer.
    request : Request
        The request.
    pool : Admission
        Runs the work on the parts.
    """
    # Not suspendable: a part cannot be repeated, since the one before it is gone by then.
    ticket = Ticket(stream.group, suspendable=False)
    pooled = partial(pool.run, ticket)
    size = stream.size
    headers = [(b"content-type", stream.media_type.encode()), *EVERY, *stream.headers]
    if stream.etag:
        headers.append((b"etag", stream.etag))
    kept = b"public, max-age=%d" % AGE if stream.etag else b"no-store"
    if stream.cuts is not None:
        kept = b"public, no-cache"
    headers.append((b"cache-control", kept))
    if size is not None or stream.part is not None:
        headers.append((b"accept-ranges", b"bytes"))
    if size is None and stream.part is not None:
        status, start, stop = outcome(request.headers, stream.etag, FARTHEST)
        if status == 206 and stop - start <= MOST_AT_ONCE:
            data = await pooled(stream.part, start, stop)
            status, stop = 206 if data else 416, start + len(data)
            headers.append(place_of(status, start, stop, None))
            headers.append((b"content-length", b"%d" % len(data)))
            return StartedStream(request, status, headers, iter(()), data, pool, ticket)
        if status == 206:
            status, start = 200, 0
    else:
        status, start, stop = outcome(request.headers, stream.etag, size)
        if status == 206 and not (stream.cuts is None or {start, stop} <= stream.cuts):
            raise Absent(
                f"The bytes {start} to {stop} are no fragments of this mesh as it is now: "
                "read its index again."
            )
        if status in (206, 416):
            headers.append(place_of(status, start, stop, size))
    if status not in (200, 206):
        return StartedStream(request, status, headers, iter(()), None, pool, ticket)
    # A compressed answer would need another ETag.
    packable = size is not None and not stream.etag and is_packable(stream.media_type)
    headers.append((b"vary", b"accept-encoding, origin" if packable else b"origin"))
    async with _watched(request, ticket):
        parts: Iterator[Part] = await pooled(stream.parts, start)
        first: Part | None = await pooled(next, parts, None)
    left = None if size is None else stop - start
    wanted = packable and "gzip" in request.codings
    if wanted and first is not None and worth_packing(first[:PIECE]):
        headers.append((b"content-encoding", b"gzip"))
        parts, left = packed_parts(itertools.chain([first], parts), GZIP), None
        first = await pooled(next, parts, None)
    if left is not None:
        headers.append((b"content-length", b"%d" % left))
    return StartedStream(request, status, headers, parts, first, pool, ticket, left)


@asynccontextmanager
async def _watched(request: Request, ticket: Ticket) -> AsyncIterator[None]:
    """Abandon the work of a ticket once the client has disconnected."""

    def abandon(_: object) -> None:
        ticket.abandoned = True

    gone = asyncio.ensure_future(request.gone())
    gone.add_done_callback(abandon)
    try:
        yield
    finally:
        gone.remove_done_callback(abandon)
        gone.cancel()


class StartedStream:
    """An answer with its first part made; see `start_stream`."""

    def __init__(
        self,
        request: Request,
        status: int,
        headers: Headers,
        parts: Iterator[Part],
        first: Part | None,
        pool: Admission,
        ticket: Ticket,
        left: int | None = None,
    ) -> None:
        self._request = request
        self._start = {"type": "http.response.start", "status": status, "headers": headers}
        self._parts = parts
        self._part = first
        self._pool = pool
        self._ticket = ticket
        self._left = left

    async def send(self, send: Send) -> None:
        """Send the parts, each made after the one before is sent, until the client disconnects.

        After an error in the middle the body is incomplete, which clients detect.
        """
        await send(self._start)
        if self._request.method != "HEAD":
            gone = asyncio.ensure_future(self._request.gone())
            gone.add_done_callback(lambda _: self._abandon())
            try:
                await self._send_parts(send, gone)
            except Abandoned:
                return
            except ButterflyError as error:
                # The server closes the connection of an incomplete answer.
                log.warning("%s was broken off: %s", self._request.path, error)
                return
            finally:
                gone.cancel()
        await send({"type": "http.response.body", "body": b""})

    def _abandon(self) -> None:
        self._ticket.abandoned = True

    async def _send_parts(self, send: Send, gone: asyncio.Future[None]) -> None:
        while self._part is not None and self._left != 0:
            part = self._part[: self._left]
            for start in range(0, len(part), PIECE):
                if gone.done():
                    return
                piece = bytes(part[start : start + PIECE])
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                # For a fast client, `send` never waits; let other tasks run.
                await asyncio.sleep(0)
            if self._left is not None:
                self._left -= len(part)
            self._part = await self._pool.run(self._ticket, next, self._parts, None)
