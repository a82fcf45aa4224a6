"""From an answer to an HTTP response: conditions, ranges, HEAD, CORS.

The rules are those of RFC 9110 (13 conditional requests, 14 ranges) and of the Fetch
standard (CORS), with what Chrome asks before it lets a public page reach an intranet.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import xxhash
from isal import igzip

from bfly.errors import BadRequest, TooLarge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from bfly.edits.state import State
    from bfly.volume import Volume
    from bfly.websocket import Receive

    Headers = Sequence[tuple[bytes, bytes]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]

__all__ = [
    "Answer",
    "accepted",
    "preferred",
    "preflight",
    "read_body",
    "respond",
    "send_text",
    "stream",
]

CORS: Headers = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"accept-ranges, content-range, etag"),
]

PACKABLE = {
    "application/json",
    "application/octet-stream",
    "application/wasm",
    "image/svg+xml",
}
"""What gzip may make smaller, besides all that is text."""

WORTH_PACKING = 1000
"""Bytes: less than this is one packet anyway."""

AGE = 5
"""Seconds for which browsers and proxies may use an answer without asking: files change, but a
viewer that moves to and fro within seconds should not ask for the same chunks again."""

CODINGS = ("deflate", "gzip")
"""The content codings (RFC 9110, 8.4.1) that an answer may have."""

FAIL_ON_DEFLATE = (b"python-requests/",)
"""How agents name themselves that say ``deflate`` and may then fail on it: CloudVolume does, whose
reader is ``requests`` with its decoding switched off."""

_RANGE = re.compile(rb"bytes=(\d*)-(\d*)")


@dataclass(slots=True)
class Answer:
    """Finished bytes with their headers, and what they were made from.

    Parameters
    ----------
    body : bytes or memoryview
        Flat, of bytes.
    media_type : str
        For ``Content-Type``.
    volume : Volume, optional
        The open channel; an answer without one holds for as long as the program runs.
    state : State, optional
        That of the channel's edits, if the answer depends on them. Once there are any, a browser
        asks each time, since it should show what was just merged.
    """

    body: bytes | memoryview
    headers: Headers
    etag: bytes
    volume: Volume | None
    state: State | None = None

    @classmethod
    def make(
        cls,
        body: bytes | memoryview,
        media_type: str,
        volume: Volume | None,
        codings: Sequence[str] = (),
        vary: Sequence[str] = (),
        extra: Headers = (),
        state: State | None = None,
        coding: str = "",
    ) -> Answer:
        """Make an answer.

        Parameters
        ----------
        body, media_type, volume
            As above.
        codings : sequence of str
            The content codings that the client takes (see `accepted`), for where one is of use.
        vary : sequence of str
            The request's headers that the answer depends on.
        extra : sequence of (bytes, bytes)
            Headers besides those of every answer; one of a same name counts instead.
        state : State, optional
            As above.
        coding : str
            The content coding that the body has already, if any.
        """
        headers = [(b"content-type", media_type.encode()), *CORS]
        packable = media_type.startswith("text/") or media_type in PACKABLE
        # Who is not sent deflate may be sent what any other agent is, but not the reverse.
        vary = [*vary, *["accept-encoding"] * packable, *["user-agent"] * (coding == "deflate")]
        if vary:
            headers.append((b"vary", ", ".join(vary).encode()))
        if packable and not coding and "gzip" in codings and len(body) >= WORTH_PACKING:
            # With the time in its header the same body would have another ETag each second.
            packed = igzip.compress(body, 1, mtime=0)
            if len(packed) < 0.9 * len(body):
                body, coding = packed, "gzip"
        if coding:
            headers.append((b"content-encoding", coding.encode()))
        edited = state is not None and state.position > 0
        etag = b'"%s"' % xxhash.xxh3_128_hexdigest(body).encode()
        headers += [
            (b"etag", etag),
            (b"accept-ranges", b"bytes"),
            (b"cache-control", b"public, no-cache" if edited else b"public, max-age=%d" % AGE),
        ]
        if extra:
            headers = list((dict(headers) | dict(extra)).items())
        return cls(body, headers, etag, volume, state)

    @property
    def nbytes(self) -> int:
        """The memory it takes."""
        return len(self.body) + 1000

    def is_fresh(self) -> bool:
        """Tell, without a look at the disk, whether the answer may be given again."""
        current = self.state is None or self.state.current
        return current and (self.volume is None or self.volume.is_fresh())


@lru_cache(maxsize=256)
def accepted(accept: bytes, agent: bytes) -> tuple[str, ...]:
    """Tell which of `CODINGS` may be sent.

    Parameters
    ----------
    accept, agent : bytes
        The request's ``Accept-Encoding`` and ``User-Agent``.
    """
    refused = {}
    for part in accept.lower().split(b","):
        coding, _, quality = part.partition(b";")
        value = quality.partition(b"=")[2].strip()
        refused[coding.strip()] = bool(value) and value.rstrip(b"0") in (b"0.", b"")
    gzip = refused.get(b"gzip", refused.get(b"x-gzip", refused.get(b"*"))) is False
    deflate = refused.get(b"deflate") is False and not agent.startswith(FAIL_ON_DEFLATE)
    return tuple(name for name, sent in zip(CODINGS, (deflate, gzip), strict=True) if sent)


@lru_cache(maxsize=256)
def preferred(accept: bytes, offered: tuple[str, ...]) -> str:
    """Give the media type that ``Accept`` prefers of those offered; none ("") if it names none."""
    qualities = {}
    for part in accept.decode("latin-1").lower().split(","):
        name, *parameters = (word.strip() for word in part.split(";"))
        stated = [word[2:] for word in parameters if word.startswith("q=")]
        with suppress(ValueError):
            qualities[name] = float(stated[0]) if stated else 1.0
    named = [name for name in offered if qualities.get(name)]
    return max(named, key=lambda name: qualities[name], default="")


async def read_body(receive: Receive, headers: dict[bytes, bytes], largest: int) -> bytes:
    """Read what is posted.

    Raises
    ------
    TooLarge
        It is, or says that it is, more than `largest` bytes; no more are kept.
    BadRequest
        The client went away before its end.
    """
    stated = headers.get(b"content-length", b"0")
    body, more = bytearray(), True
    while more:
        if max(len(body), int(stated)) > largest:
            raise TooLarge(f"The body takes more than the {largest} bytes that are allowed.")
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("The body is not whole.")
        body += message.get("body", b"")
        more = message.get("more_body", False) or len(body) > largest
    return bytes(body)


async def respond(answer: Answer, method: str, headers: dict[bytes, bytes], send: Send) -> None:
    """Send an answer as the request's headers want it.

    Parameters
    ----------
    answer : Answer
        What to send.
    method : str
        ``GET`` or ``HEAD``.
    headers : dict
        Of the request, names in lower case.
    send : callable
        ASGI's.
    """
    etag, body = answer.etag, answer.body
    wanted = headers.get(b"if-match")
    if wanted is not None and not _matches(wanted, etag):
        await _send(send, 412, answer.headers, b"", method)
        return
    unwanted = headers.get(b"if-none-match")
    if unwanted is not None and _matches(unwanted, etag):
        await _send(send, 304, answer.headers, None, method)
        return
    asked = headers.get(b"range")
    if asked is not None and headers.get(b"if-range", etag) == etag:
        part = _range(asked, len(body))
        if part is not None:
            start, stop = part
            status = 206 if start < stop else 416
            place = b"%d-%d" % (start, stop - 1) if status == 206 else b"*"
            extra = (b"content-range", b"bytes %s/%d" % (place, len(body)))
            await _send(send, status, [*answer.headers, extra], body[start:stop], method)
            return
    await _send(send, 200, answer.headers, body, method)


def _matches(condition: bytes, etag: bytes) -> bool:
    """Compare an ETag with a condition; a proxy may have made ours weak."""
    tags = [tag.strip().removeprefix(b"W/") for tag in condition.split(b",")]
    return etag in tags or tags == [b"*"]


def _range(asked: bytes, size: int) -> tuple[int, int] | None:
    """Give start and stop of a range; equal if it cannot be met, None if it is ignored."""
    found = _RANGE.fullmatch(asked.strip())
    if found is None or found[1] == found[2] == b"":
        return None
    if found[1] == b"":
        return max(0, size - int(found[2])), size
    start = int(found[1])
    stop = min(size, int(found[2]) + 1) if found[2] else size
    if found[2] and int(found[2]) < start:
        return None
    return (start, stop) if start < size else (0, 0)


async def _send(
    send: Send, status: int, headers: Headers, body: bytes | memoryview | None, method: str
) -> None:
    if body is not None:
        headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    sent = b"" if body is None or method == "HEAD" else body
    await send({"type": "http.response.body", "body": sent})


async def send_text(
    send: Send, status: int, text: str, method: str = "GET", extra: Headers | None = None
) -> None:
    """Send a plain message, as errors are."""
    kind = (b"content-type", b"text/plain; charset=utf-8")
    await _send(send, status, [kind, *CORS, *(extra or [])], f"{text}\n".encode(), method)


async def stream(chunks: AsyncIterator[bytes], media_type: str, method: str, send: Send) -> None:
    """Send a body of unknown length as it is made.

    An error in the middle leaves the body without its end, which clients notice.
    """
    headers = [(b"content-type", media_type.encode()), *CORS, (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if method != "HEAD":
        async for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def preflight(headers: dict[bytes, bytes], send: Send) -> None:
    """Tell a browser that its page may ask."""
    allowed = [
        *CORS,
        (b"access-control-allow-methods", b"GET, HEAD, OPTIONS, POST"),
        (b"access-control-allow-headers", headers.get(b"access-control-request-headers", b"*")),
        (b"access-control-max-age", b"86400"),
    ]
    if b"access-control-request-private-network" in headers:
        allowed.append((b"access-control-allow-private-network", b"true"))
    await _send(send, 204, allowed, None, "OPTIONS")
