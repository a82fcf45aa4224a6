"""An HTTP request, as ASGI 3 gives it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bfly.errors import BadRequest, TooLarge
from bfly.server.negotiation import accepted

if TYPE_CHECKING:
    from bfly.server.asgi import Receive, Scope

__all__ = ["Request"]

_LENGTH = re.compile(rb"\d{1,19}")


class Request:
    """What was asked, and how the answer is to be sent.

    Parameters
    ----------
    scope : mapping
        ASGI's.
    receive : callable
        ASGI's.

    Attributes
    ----------
    method, path, query_string : str
        As they stand in the request, the path decoded.
    headers : dict
        Names in lower case.
    codings : tuple of str
        The content codings that the answer may have.
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
        # A range counts the bytes of the voxels, so they are not packed for it.
        ranged = b"range" in self.headers
        accept = self.headers.get(b"accept-encoding", b"")
        self.codings = () if ranged else accepted(accept, agent)

    @property
    def target(self) -> str:
        """The path as it was sent, and what stands behind it."""
        return f"{self._scope['raw_path'].decode('latin-1')}?{self.query_string}"

    @property
    def address(self) -> str:
        """The server's, as the client calls it: scheme, host and port."""
        host = self.headers.get(b"host", b"").decode("latin-1")
        # A client that does not call it by a name speaks HTTP/1.0, and knows an IPv4 address.
        return f"{self._scope['scheme']}://{host or '{}:{}'.format(*self._scope['server'])}"

    async def body(self, largest: int) -> bytes:
        """Read what is posted.

        Raises
        ------
        TooLarge
            It is, or says that it is, more than `largest` bytes; no more are kept.
        BadRequest
            The client went away before its end, or says no number as its length.
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
        return bytes(body)

    async def gone(self) -> None:
        """Wait until the client is no longer there, or has all of its answer."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
