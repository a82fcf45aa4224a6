"""HTTP requests, from ASGI 3."""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING

from bfly.errors import BadRequest, TooLarge
from bfly.server.negotiation import accepted

if TYPE_CHECKING:
    from bfly.server.asgi import Receive, Scope

__all__ = ["Request"]

_LENGTH = re.compile(rb"\d{1,19}")

GZIP = 16 + zlib.MAX_WBITS
"""Window of zlib for the format of gzip."""


class Request:
    """An HTTP request.

    Parameters
    ----------
    scope : mapping
        Scope of ASGI.
    receive : callable
        Receives ASGI messages.

    Attributes
    ----------
    method, path, query_string : str
        Parts of the request; the path is decoded.
    headers : dict
        Headers, names in lower case.
    codings : tuple of str
        The content codings that the response may have.
    """

    __slots__ = ("_receive", "_scope", "codings", "headers", "method", "path", "query_string")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._scope = scope
        self._receive = receive
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query_string: str = scope["query_string"].decode("latin-1")
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        agent = self.headers.get(b"user-agent", b"")
        # A range counts bytes of the voxels, so the response is not compressed.
        ranged = b"range" in self.headers
        accept = self.headers.get(b"accept-encoding", b"")
        self.codings = () if ranged else accepted(accept, agent)

    @property
    def target(self) -> str:
        """The path as it was sent, and the query string."""
        return f"{self._scope['raw_path'].decode('latin-1')}?{self.query_string}"

    @property
    def address(self) -> str:
        """Address of the server as the client used it: scheme, host and port."""
        host = self.headers.get(b"host", b"").decode("latin-1")
        # Only requests of HTTP/1.0 have no Host; those use an IPv4 address.
        return f"{self._scope['scheme']}://{host or '{}:{}'.format(*self._scope['server'])}"

    async def body(self, largest: int) -> bytes:
        """Read the body, which may be compressed by gzip.

        Raises
        ------
        TooLarge
            The body, its stated length, or what it unpacks to exceeds `largest` bytes; the rest is
            not read.
        BadRequest
            The client disconnected before its end, its stated length is not a number, or its
            content coding is not gzip.
        """
        stated = _LENGTH.fullmatch(self.headers.get(b"content-length", b"0"))
        if stated is None:
            raise BadRequest("The Content-Length is not a number of bytes.")
        body, more = bytearray(), True
        while more:
            if max(len(body), int(stated[0])) > largest:
                raise TooLarge(f"The body takes more than the {largest} bytes that are allowed.")
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise BadRequest("The body is not whole.")
            body += message.get("body", b"")
            more = message.get("more_body", False) or len(body) > largest
        coding = self.headers.get(b"content-encoding", b"identity").strip().lower()
        return bytes(body) if coding == b"identity" else _unpacked(body, coding, largest)

    async def gone(self) -> None:
        """Wait until the client has disconnected, or the response is complete."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


def _unpacked(body: bytes | bytearray, coding: bytes, largest: int) -> bytes:
    if coding != b"gzip":
        raise BadRequest(f"The content coding {coding.decode('latin-1')} is not in ['gzip'].")
    unpacking = zlib.decompressobj(GZIP)
    try:
        unpacked = unpacking.decompress(body, largest + 1)
    except zlib.error as error:
        raise BadRequest(f"The body is not gzip: {error}.") from None
    if len(unpacked) > largest:
        raise TooLarge(f"The body unpacks to more than the {largest} bytes that are allowed.")
    if not unpacking.eof:
        raise BadRequest("The body ends within its gzip stream.")
    return unpacked
