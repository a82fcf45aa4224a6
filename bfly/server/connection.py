"""Connections of clients, with limits on the size and time of their requests.

These are uvicorn's protocols, which limit neither the size of a request's head nor times.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from bfly.server.response import EVERY

if TYPE_CHECKING:
    import asyncio

    from uvicorn import Config

__all__ = ["BODY", "HEAD", "Connection", "ConnectionState", "WebsocketConnection"]

log = logging.getLogger(__name__)

LARGEST_HEAD = 64 << 10
"""Bytes of a request's line and headers. Browsers and proxies send at most a few KiB."""

MOST_PIPELINED = 64
"""Requests that a client may send before their responses (pipelining); browsers send none."""

HEAD, BODY = "head", "body"

MOST_UNTAKEN = 64 << 10
"""Bytes of pongs that may be queued for a client that does not read."""


class ConnectionState(ServerState):
    """State that the connections of a server share.

    Attributes
    ----------
    silent : dict
        Connections that have not sent their first head, the oldest first.
    idle : list
        Connections that wait for another request.
    """

    def __init__(self) -> None:
        super().__init__()
        self.silent: dict[Connection, None] = {}
        self.idle: list[Connection] = []
        self._told = -60.0

    def least_needed(self) -> Connection:
        """Return the connection to close if there are too many: the oldest silent, or an idle."""
        # The last silent connection is the new one itself.
        while self.idle and len(self.silent) == 1:
            idle = self.idle.pop(0)
            if idle in self.connections and idle.awaited() == HEAD:
                return idle
        return next(iter(self.silent))

    def tell_full(self, most: int, now: float) -> None:
        """Log that there are too many connections, at most once a minute."""
        if now - self._told >= 60:
            self._told = now
            log.warning(
                "There are %d connections, as many as the limit of open files (ulimit -n) allows: "
                "the longest silent are closed, or new ones answered 503.",
                most,
            )


class Connection(HttpToolsProtocol):
    """An HTTP connection.

    If there are more than ``limit_concurrency``, a silent or idle connection is closed. If there
    is none, the new connection is answered 503.
    """

    def __init__(
        self,
        config: Config,
        server_state: ConnectionState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._state = server_state
        self._most = self.limit_concurrency
        # Unset, or uvicorn would refuse requests of connections that are open already.
        self.limit_concurrency = None
        self._unread = 0
        self._whole = True
        self._refusal: tuple[int, str] | None = None
        self._ahead: list[RequestResponseCycle] = []

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._state.silent[self] = None
        if self._most is None or len(self.connections) <= self._most:
            return
        self._state.tell_full(self._most, self.loop.time())
        least = self._state.least_needed()
        if least is self:
            self.answer(503, "There are too many connections now.")
        else:
            least.cut()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        self._unread += len(data)
        super().data_received(data)
        if (self._whole and self._has_head()) or not self._whole:
            self._unread = 0
        elif self._unread > LARGEST_HEAD:
            self.answer(*_HEAD_TOO_LARGE)

    @override
    def on_headers_complete(self) -> None:
        self._state.silent.pop(self, None)
        if self._unread > LARGEST_HEAD:
            sizes = (len(name) + len(value) + 4 for name, value in self.headers)
            if len(self.url) + sum(sizes) > LARGEST_HEAD:
                self._refuse(*_HEAD_TOO_LARGE)
        self._whole = False
        before = self.cycle
        super().on_headers_complete()
        if not self.pipeline:
            self._ahead.clear()
        else:
            self._ahead.append(before)
            if len(self.pipeline) > MOST_PIPELINED:
                self._refuse(400, "There are too many requests before their answers.")

    @override
    def on_message_complete(self) -> None:
        self._whole = True
        super().on_message_complete()

    @override
    def handle_websocket_upgrade(self) -> None:
        self._forget()
        super().handle_websocket_upgrade()

    @override
    def send_400_response(self, msg: str) -> None:
        self.answer(*(self._refusal or (400, msg)))

    def awaited(self) -> str:
        """Return the part that the client has to send: `HEAD` or `BODY`, or "" for none."""
        if not self._whole:
            return BODY
        waits = not self._has_head() or self.cycle is None or self.cycle.response_complete
        return HEAD if waits else ""

    def is_silent(self) -> bool:
        """Return whether no byte of the awaited head has arrived."""
        return self._unread == 0

    def cut(self) -> None:
        """Close the connection at once, and discard unsent data."""
        self._forget()
        self.transport.abort()

    def answer(self, status: int, text: str) -> None:
        """Send an error response, unless another response has started, and close."""
        begun = any(cycle.response_started for cycle in self._forget())
        if self.transport.is_closing():
            return
        if not begun:
            self.transport.write(_plain(status, text))
        self.transport.close()

    def _has_head(self) -> bool:
        # uvicorn creates a scope at the first byte of a head, and adds the method at its end.
        return self.scope is not None and "method" in self.scope

    def _refuse(self, status: int, text: str) -> None:
        """Stop the parser by an error; uvicorn then calls `send_400_response`."""
        self._refusal = status, text
        raise ValueError(text)

    def _forget(self) -> list[RequestResponseCycle]:
        """Mark unanswered requests as disconnected, and return them."""
        self._state.silent.pop(self, None)
        cycles = [*self._ahead, *([self.cycle] if self.cycle is not None else [])]
        pending = [cycle for cycle in cycles if not cycle.response_complete]
        for cycle in pending:
            # uvicorn marks only the last request of a pipeline, and only later.
            cycle.disconnected = True
            cycle.message_event.set()
        self._ahead.clear()
        return pending


class WebsocketConnection(WebSocketsSansIOProtocol):
    """A websocket connection."""

    _untaken = 0

    @override
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # The head arrives complete. If its line or a header is too long, or there are too many
        # headers, uvicorn neither answers nor closes.
        if not self.handshake_initiated and not self.transport.is_closing():
            output = b"".join(self.conn.data_to_send())
            self.transport.write(output or _plain(400, "This is no handshake of a websocket."))
            self.transport.close()

    @override
    async def send(self, message: Any) -> None:
        await super().send(message)
        if self.close_sent:
            # After a refusal with a status, uvicorn would treat the handshake as unanswered.
            self.handshake_complete = True

    @override
    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text":
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                # Same as in uvicorn, but without a traceback in the log.
                self.frames = []
                self.conn.send_close(1007)
                self.handle_parser_exception()
                return
        super().send_receive_event_to_app()

    @override
    def handle_parser_exception(self) -> None:
        if self.conn.close_sent is None:
            self.transport.close()
        else:
            super().handle_parser_exception()

    @override
    def handle_ping(self) -> None:
        self._untaken = 0 if self.writable.is_set() else self._untaken + 127
        if self._untaken > MOST_UNTAKEN:
            self.transport.abort()
        else:
            super().handle_ping()


_HEAD_TOO_LARGE = 431, f"The line and headers take more than the {LARGEST_HEAD} bytes allowed."


def _plain(status: int, text: str) -> bytes:
    body = f"{text}\n".encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
        *EVERY,
        *([(b"retry-after", b"2")] if status == 503 else []),
    ]
    line = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()
    return b"\r\n".join([line, *(b": ".join(header) for header in headers), b"", body])
