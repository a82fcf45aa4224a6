"""Edits over websockets: ``/ws/{address}`` (ASGI 3).

Each client of a channel is sent the state on connecting and after each change by any client. A
slow client is sent only the latest state, and is disconnected if it reads nothing for a while.
"""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from bfly.config.addresses import FORM
from bfly.errors import Absent, Busy, ButterflyError
from bfly.protocols.protocol import by_token, channel_words
from bfly.protocols.statuses import status_of
from bfly.queries.info import InfoQuery
from bfly.server.conditional import refuse_handshake
from bfly.server.descriptors import most_connections
from bfly.server.rooms import Client, Rooms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.config.config import Config
    from bfly.core.core import Core
    from bfly.server.asgi import Receive, Scope, Send

__all__ = ["MOST", "WebsocketEndpoint"]

log = logging.getLogger(__name__)

MOST = 1 << 20
"""Bytes of a message from a client: some 50,000 ids. A longer one is answered with an error."""

ACTIONS = ("restore", "save")

GOING_WRONG = 1011
"""Close code for an internal error of the server (RFC 6455, 7.4.1)."""


class WebsocketEndpoint:
    """ASGI endpoint of all websocket clients.

    Parameters
    ----------
    core : Core
        Has the edits.
    config : Config
        Lists the channels.
    """

    def __init__(self, core: Core, config: Config) -> None:
        self._core, self.config = core, config
        self._rooms = Rooms(core)
        self._most = most_connections() // 2
        self._connected = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a client until it disconnects or the server ends."""
        await receive()
        self._connected += 1
        try:
            words = self._words(scope)
            query = InfoQuery(method="websocket:restore", **words)
            text = await self._rooms.ask(query)
        except ButterflyError as error:
            log.info("A websocket of %s is refused: %s", scope["path"][:200], str(error)[:200])
            extra = [(b"retry-after", b"%d" % error.retry_after)] if isinstance(error, Busy) else []
            await refuse_handshake(scope, send, status_of(error), str(error), extra)
        else:
            assert query.state
            client = Client(send)
            client.tell(query.state.position, text)
            await self._speak(scope, receive, client, words)
        finally:
            self._connected -= 1

    async def _speak(
        self, scope: Scope, receive: Receive, client: Client, words: Mapping[str, Any]
    ) -> None:
        await client.accept()
        sending = asyncio.ensure_future(client.send_all())
        listening = asyncio.ensure_future(self._listen(client, words, receive))
        try:
            with self._rooms.joined(client, words):
                await asyncio.wait([sending, listening], return_when=asyncio.FIRST_COMPLETED)
            for done in (sending, listening):
                if done.done() and (wrong := done.exception()) is not None:
                    log.warning("A websocket of %s is closed: %s", scope["path"], wrong)
                    with suppress(Exception):
                        await client.close(GOING_WRONG, str(wrong))
        finally:
            sending.cancel()
            listening.cancel()
            # A task cancelled while it sends may raise that the client has disconnected.
            await asyncio.gather(sending, listening, return_exceptions=True)

    def _words(self, scope: Scope) -> dict[str, Any]:
        """Return the parameters of queries for the channel.

        Raises
        ------
        Absent, BadRequest
            There is no such channel.
        Busy
            Websockets already take half of the allowed connections.
        """
        if self._connected > self._most:
            raise Busy(f"There are {self._most} websockets, as many as there may be.")
        prefix, _, rest = scope["path"].lstrip("/").partition("/")
        if prefix != "ws":
            raise Absent(f"There is no websocket at {scope['path']}, only /ws/{FORM}.")
        channel, below = by_token(self.config, rest)
        if below:
            raise Absent(f"There is nothing below {channel.name}, such as {below}.")
        return {"name": channel.name, **channel_words(channel), "who": (scope["client"] or [""])[0]}

    async def _listen(self, client: Client, words: Mapping[str, Any], receive: Receive) -> None:
        """Handle messages of a client until it disconnects."""
        while (message := await receive())["type"] == "websocket.receive":
            action, content, wrong = _read(message)
            query = InfoQuery(
                method=f"websocket:{action}", error=wrong, base=client.position, **words
            )
            with client.asking():
                text = await self._rooms.ask(query, content)
                assert query.state
                client.answer(query.state.position, text, bool(query.error))


def _read(message: dict[str, Any]) -> tuple[str, dict[str, Any], str]:
    """Return action, message and error text; if there is an error, the message is ignored."""
    text = message.get("text") or message.get("bytes") or ""
    if len(text) > MOST:
        return "restore", {}, f"The message is longer than {MOST} bytes."
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as error:
        return "restore", {}, f"The message is not JSON: {error}"
    if not isinstance(said, dict):
        return "restore", {}, "The message is not a JSON object."
    action = said.get("action")
    if action not in ACTIONS:
        return "restore", {}, f"The action {action} is not in {list(ACTIONS)}."
    return action, said, ""
