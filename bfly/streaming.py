"""Answers that are made while they are sent, since they may be larger than the memory."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from bfly.answer import CORS
from bfly.errors import ButterflyError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from bfly.request import Request
    from bfly.respond import Send

    Part = bytes | memoryview
    Pooled = Callable[..., Awaitable[Any]]

__all__ = ["Begun", "Streamed"]

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Streamed:
    """What is to be sent, which is made anew for every request.

    Parameters
    ----------
    parts : callable
        Begins to make it, and gives it part by part.
    media_type : str
        For ``Content-Type``.
    """

    parts: Callable[[], Iterator[Part]]
    media_type: str

    async def begin(self, request: Request, pooled: Pooled) -> Begun:
        """Make the first part: what is wrong shows there, while there is still a status to send.

        Parameters
        ----------
        request : Request
            What is answered.
        pooled : callable
            Does work in the pool.
        """
        headers = [(b"content-type", self.media_type.encode()), *CORS]
        headers.append((b"cache-control", b"no-store"))
        parts = await pooled(self.parts)
        return Begun(request, headers, parts, await pooled(next, parts, None), pooled)


class Begun:
    """An answer of which the first part is made; see `Streamed.begin`."""

    def __init__(
        self,
        request: Request,
        headers: list[tuple[bytes, bytes]],
        parts: Iterator[Part],
        first: Part | None,
        pooled: Pooled,
    ) -> None:
        self._request = request
        self._headers = headers
        self._parts = parts
        self._part = first
        self._pooled = pooled

    async def send(self, send: Send) -> None:
        """Send the parts, each made once the one before is sent.

        After an error in the middle the body stays without its end, which clients notice.
        """
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        if self._request.method != "HEAD":
            try:
                await self._send_parts(send)
            except ButterflyError as error:
                # The server ends the connection of an answer that is not whole.
                log.warning("%s was broken off: %s", self._request.path, error)
                return
        await send({"type": "http.response.body", "body": b""})

    async def _send_parts(self, send: Send) -> None:
        while self._part is not None:
            await send({"type": "http.response.body", "body": self._part, "more_body": True})
            self._part = await self._pooled(next, self._parts, None)
