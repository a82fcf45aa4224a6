"""From an answer to an HTTP response: conditions, ranges, HEAD, preflights.

The rules are those of RFC 9110 (13 conditional requests, 14 ranges) and of the Fetch
standard (CORS), with what Chrome asks before it lets a public page reach an intranet. Which pages
may ask at all is decided before (see `bfly.server.guard`), which also adds what CORS takes.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

from bfly.server.response import EVERY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.protocols.ready import Headers
    from bfly.server.asgi import Send
    from bfly.server.request import Request
    from bfly.server.response import Response

__all__ = ["outcome", "place_of", "preflight", "refuse_handshake", "send_response", "send_text"]

_RANGE = re.compile(rb"bytes=(\d{0,19})-(\d{0,19})")
"""One range of bytes. No body has more bytes than 19 digits can count."""

_NAMES = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~, \t-]{1,1000}")
"""Names of headers (RFC 9110, 5.6.2) with commas between them."""

_CONDITIONAL = frozenset({b"if-match", b"if-none-match", b"range"})

_VARY = (b"vary", b"origin")

_NOTHING = {"type": "http.response.body", "body": b""}


async def send_response(answer: Response, request: Request, send: Send) -> None:
    """Send an answer as the request's headers want it."""
    headers = request.headers
    if answer.grant is not None:
        send = partial(_send_held, send)
    if headers.keys().isdisjoint(_CONDITIONAL):
        await send(answer.start)
        await send(answer.whole if request.method != "HEAD" else _NOTHING)
        return
    body, method = answer.body, request.method
    status, start, stop = outcome(headers, answer.etag, len(body))
    if status in (206, 416):
        placed = [*answer.headers, place_of(status, start, stop, len(body))]
        await _send(send, status, placed, body[start:stop], method)
    else:
        bodies = {200: body, 304: None, 412: b""}
        await _send(send, status, answer.headers, bodies[status], method)


async def _send_held(send: Send, message: dict[str, Any]) -> None:
    """Send a message, and after a body wait until the client has taken nearly all of it.

    Its memory is counted until then, so a client that is slow must not seem to be done.
    """
    if message["type"] != "http.response.body":
        await send(message)
        return
    await send({**message, "more_body": True})
    await send(_NOTHING)


def outcome(headers: Mapping[bytes, bytes], etag: bytes, size: int | None) -> tuple[int, int, int]:
    """Tell what the conditions and the range of a GET come to.

    Parameters
    ----------
    headers : mapping
        Of the request, names in lower case.
    etag : bytes
        Of the answer; b"" if it has none.
    size : int or None
        Its bytes; None if they are not known, and so cannot be counted.

    Returns
    -------
    status : int
        200, 206 (a part), 304 (not modified), 412 (not what was wanted) or 416 (no such part).
    start, stop : int
        The bytes to send.
    """
    whole = 0, size or 0
    wanted, unwanted = headers.get(b"if-match"), headers.get(b"if-none-match")
    if wanted is not None and not _matches(wanted, etag):
        return 412, 0, 0
    if unwanted is not None and _matches(unwanted, etag):
        return 304, 0, 0
    asked = headers.get(b"range")
    if size is None or asked is None or headers.get(b"if-range", etag) != etag:
        return 200, *whole
    part = _range(asked, size)
    if part is None:
        return 200, *whole
    return (206 if part[0] < part[1] else 416), *part


def place_of(status: int, start: int, stop: int, size: int) -> tuple[bytes, bytes]:
    """Give the header that says which part is sent, or that there is no such part."""
    place = b"%d-%d" % (start, stop - 1) if status == 206 else b"*"
    return b"content-range", b"bytes %s/%d" % (place, size)


def _matches(condition: bytes, etag: bytes) -> bool:
    """Compare an ETag with a condition; a proxy may have made ours weak."""
    tags = [tag.strip().removeprefix(b"W/") for tag in condition.split(b",")]
    return (etag != b"" and etag in tags) or tags == [b"*"]


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
    await _send(send, status, [kind, *EVERY, _VARY, *(extra or [])], f"{text}\n".encode(), method)


async def refuse_handshake(
    scope: Mapping[str, Any], send: Send, status: int, reason: str, extra: Headers = ()
) -> None:
    """Answer the handshake of a websocket with a status and the reason, where the server can."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "reason": reason[:100]})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), *EVERY, *extra]
    start = {"type": "websocket.http.response.start", "status": status, "headers": headers}
    await send(start)
    await send({"type": "websocket.http.response.body", "body": f"{reason}\n".encode()})


async def preflight(request: Request, send: Send) -> None:
    """Answer a preflight: the page may ask, as was checked before."""
    headers = request.headers
    names = headers.get(b"access-control-request-headers", b"")
    allowed = [
        *EVERY,
        _VARY,
        (b"access-control-allow-methods", b"GET, HEAD, OPTIONS, POST"),
        (b"access-control-allow-headers", names if _NAMES.fullmatch(names) else b"*"),
        (b"access-control-max-age", b"86400"),
    ]
    if b"access-control-request-private-network" in headers:
        allowed.append((b"access-control-allow-private-network", b"true"))
    await _send(send, 204, allowed, None, "OPTIONS")
