"""Sending of responses: conditions, ranges, HEAD, preflights.

The rules are those of RFC 9110 (13 conditional requests, 14 ranges) and of the Fetch standard
(CORS). Chrome also sends a preflight before a public page may reach an intranet. The middleware
`bfly.server.guard` has checked before which pages may send requests; it adds CORS headers.
"""

from __future__ import annotations

import json
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
"""One range of bytes. The size of any body fits in 19 digits."""

_NAMES = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~, \t-]{1,1000}")
"""Names of headers (RFC 9110, 5.6.2), separated by commas."""

_CONDITIONAL = frozenset({b"if-match", b"if-none-match", b"range"})

_VARY = (b"vary", b"origin")

_NOTHING = {"type": "http.response.body", "body": b""}


async def send_response(answer: Response, request: Request, send: Send) -> None:
    """Send a response, subject to the conditions and the range of the request."""
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
    """Send a message; after a body, wait until the client has received nearly all of it.

    The memory of the body is counted against the budget until then, also for a slow client.
    """
    if message["type"] != "http.response.body":
        await send(message)
        return
    await send({**message, "more_body": True})
    await send(_NOTHING)


def outcome(headers: Mapping[bytes, bytes], etag: bytes, size: int | None) -> tuple[int, int, int]:
    """Return the status and the bytes to send, from the conditions and the range of a GET.

    Parameters
    ----------
    headers : mapping
        Headers of the request, names in lower case.
    etag : bytes
        ETag of the response; b"" if it has none.
    size : int or None
        Bytes of the body; None if unknown, so that ranges are ignored.

    Returns
    -------
    status : int
        200, 206 (partial content), 304 (not modified), 412 (precondition failed) or 416 (range
        not satisfiable).
    start, stop : int
        The bytes to send.
    """
    everything = 0, size or 0
    wanted, unwanted = headers.get(b"if-match"), headers.get(b"if-none-match")
    if wanted is not None and not _matches(wanted, etag):
        return 412, 0, 0
    if unwanted is not None and _matches(unwanted, etag):
        return 304, 0, 0
    asked = headers.get(b"range")
    if size is None or asked is None or headers.get(b"if-range", etag) != etag:
        return 200, *everything
    part = _range(asked, size)
    if part is None:
        return 200, *everything
    return (206 if part[0] < part[1] else 416), *part


def place_of(status: int, start: int, stop: int, size: int | None) -> tuple[bytes, bytes]:
    """Return the header ``Content-Range`` of a status 206 or 416; the size may be unknown."""
    place = b"%d-%d" % (start, stop - 1) if status == 206 else b"*"
    return b"content-range", b"bytes %s/%s" % (place, b"*" if size is None else b"%d" % size)


def _matches(condition: bytes, etag: bytes) -> bool:
    """Return whether a condition matches an ETag; a proxy may have made ours weak."""
    tags = [tag.strip().removeprefix(b"W/") for tag in condition.split(b",")]
    return (etag != b"" and etag in tags) or tags == [b"*"]


def _range(asked: bytes, size: int) -> tuple[int, int] | None:
    """Return start and stop of a range: equal if not satisfiable; None if it is ignored."""
    match = _RANGE.fullmatch(asked.strip())
    if match is None or match[1] == match[2] == b"":
        return None
    if match[1] == b"":
        return max(0, size - int(match[2])), size
    start = int(match[1])
    stop = min(size, int(match[2]) + 1) if match[2] else size
    if match[2] and int(match[2]) < start:
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
    send: Send,
    status: int,
    text: str,
    method: str = "GET",
    extra: Headers | None = None,
    as_json: bool = False,
) -> None:
    """Send a response of plain text, such as an error, or ``{"message": text}``."""
    # Clients of graphene take JSON for JSON only if there is no charset.
    kind = b"application/json" if as_json else b"text/plain; charset=utf-8"
    body = json.dumps({"message": text}) if as_json else f"{text}\n"
    headers = [(b"content-type", kind), *EVERY, _VARY, *(extra or [])]
    await _send(send, status, headers, body.encode(), method)


async def refuse_handshake(
    scope: Mapping[str, Any], send: Send, status: int, reason: str, extra: Headers = ()
) -> None:
    """Refuse a websocket handshake with a status and a reason, if the server supports that."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "reason": reason[:100]})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), *EVERY, *extra]
    start = {"type": "websocket.http.response.start", "status": status, "headers": headers}
    await send(start)
    await send({"type": "websocket.http.response.body", "body": f"{reason}\n".encode()})


async def preflight(request: Request, send: Send) -> None:
    """Answer a preflight; the origin was checked before."""
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
