"""uvicorn's server, with time limits on its connections."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import uvicorn
from typing_extensions import override

from bfly.server.connection import HEAD, Connection, ConnectionState, WebsocketConnection
from bfly.server.descriptors import most_connections

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LimitedServer"]

log = logging.getLogger(__name__)

HEAD_TIME = 10.0
"""Seconds for a request's line and headers (its head); a late one is answered 408. A connection
that sends no byte of it in this time is closed."""

BODY_TIME = 60.0
"""Seconds for the body of a request: at 18 KB/s, the largest body of 1 MiB takes as long."""

SEND_TIME = 60.0
"""Seconds in which a client has to read `LEAST_TAKEN` of its response: longer than a laptop needs
to change networks, and short enough for memory held for a client that is gone."""

LEAST_TAKEN = 64 << 10
"""Bytes. A client that reads less in `SEND_TIME` is disconnected, to free its response's memory."""

LARGEST_MESSAGE = 16 << 20
"""Bytes of a websocket message above which it is not read and the connection is closed. Shorter
messages that are too long are answered with an error."""

TICKS = 5
"""Ticks of uvicorn, 0.1 s each, between two checks of the connections."""


class LimitedServer(uvicorn.Server):
    """Serves an ASGI application.

    Parameters
    ----------
    application : callable
        ASGI 3.
    """

    def __init__(self, application: Callable[..., Any]) -> None:
        most = most_connections()
        super().__init__(
            uvicorn.Config(
                application,
                http=Connection,
                ws=WebsocketConnection,
                lifespan="off",
                log_config=None,
                log_level="warning",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=5,
                limit_concurrency=most,
                # All connections accepted at once need file descriptors before any is closed.
                backlog=min(2048, most),
                ws_max_size=LARGEST_MESSAGE,
            )
        )
        self.server_state: ConnectionState = ConnectionState()
        self._awaited: dict[Connection, tuple[str, Any, float]] = {}
        self._stalled: dict[Any, tuple[float, int]] = {}

    @override
    async def on_tick(self, counter: int) -> bool:
        if counter % TICKS == 0:
            now = asyncio.get_running_loop().time()
            self._end_late_requests(now)
            self._cut_off_stalled(now)
        return await super().on_tick(counter)

    def _end_late_requests(self, now: float) -> None:
        before, self._awaited = self._awaited, {}
        self.server_state.idle.clear()
        for connection in list(self.server_state.connections):
            if not isinstance(connection, Connection) or not (what := connection.awaited()):
                continue
            # Each request has a new scope.
            scope = connection.scope
            *seen, since = before.get(connection, (what, scope, now))
            if seen[0] != what or seen[1] is not scope:
                since = now
            late = now - since - (HEAD_TIME if what == HEAD else BODY_TIME)
            if late < 0:
                self._awaited[connection] = what, scope, since
                if what == HEAD:
                    self.server_state.idle.append(connection)
            elif what == HEAD and connection.is_silent():
                connection.cut()
            else:
                connection.answer(408, f"The {what} of the request did not come in time.")

    def _cut_off_stalled(self, now: float) -> None:
        before, self._stalled = self._stalled, {}
        for connection in list(self.server_state.connections):
            size = connection.transport.get_write_buffer_size()
            if size == 0:
                continue
            since, was = before.get(connection, (now, size))
            # A larger buffer means more was written, which happens only if the client reads.
            if not was - LEAST_TAKEN < size <= was:
                since, was = now, size
            if now - since < SEND_TIME:
                self._stalled[connection] = since, was
            else:
                log.info("A client that takes nothing for %s s is cut off", SEND_TIME)
                connection.transport.abort()
