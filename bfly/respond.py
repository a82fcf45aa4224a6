"""From an answer to an HTTP response: conditions, ranges, HEAD, CORS.

The rules are those of RFC 9110 (13 conditional requests, 14 ranges) and of the Fetch
standard (CORS), with what Chrome asks before it lets a public page reach an intranet.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bfly.answer import CORS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bfly.answer import Answer, Headers
    from bfly.request import Request

    Send = Callable[[dict[str, Any]], Awaitable[None]]

__all__ = ["preflight", "respond", "send_text"]

_RANGE = re.compile(rb"bytes=(\d*)-(\d*)")

_CONDITIONAL = frozenset({b"if-match", b"if-none-match", b"range"})

_NOTHING = {"type": "http.response.body", "body": b""}


async def respond(answer: Answer, request: Request, send: Send) -> None:
    """Send an answer as the request's headers want it."""
    headers = request.headers
    if headers.keys().isdisjoint(_CONDITIONAL):
        await send(answer.start)
        await send(answer.whole if request.method != "HEAD" else _NOTHING)
        return
    etag, body, method = answer.etag, answer.body, request.method
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


async def preflight(request: Request, send: Send) -> None:
    """Tell a browser that its page may ask."""
    headers = request.headers
    allowed = [
        *CORS,
        (b"access-control-allow-methods", b"GET, HEAD, OPTIONS, POST"),
        (b"access-control-allow-headers", headers.get(b"access-control-request-headers", b"*")),
        (b"access-control-max-age", b"86400"),
    ]
    if b"access-control-request-private-network" in headers:
        allowed.append((b"access-control-allow-private-network", b"true"))
    await _send(send, 204, allowed, None, "OPTIONS")
