"""Websocket clients by channel, and the messages that wait for each."""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bfly.concurrency.admission import Ticket
from bfly.errors import ButterflyError
from bfly.queries.info import InfoQuery

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bfly.core.core import Core
    from bfly.server.asgi import Send

__all__ = ["Client", "Rooms"]

log = logging.getLogger(__name__)

PATIENCE = 10.0
"""Seconds for a client to receive a message."""

MOST_WAITING = 64
"""Error messages that may wait for a client."""


class Client:
    """A connected websocket client.

    Parameters
    ----------
    send : callable
        Sends an ASGI message.

    Attributes
    ----------
    position : int
        The last operation of the newest state that was sent or is queued; -1 if there is none.
    """

    def __init__(self, send: Send) -> None:
        self.position = -1
        self._send = send
        self._state: str | None = None
        self._answer: str | None = None
        self._errors: list[str] = []
        self._is_asking = False
        self._later: tuple[int, str] | None = None
        self._wake = asyncio.Event()

    async def accept(self) -> None:
        """Accept the connection."""
        await self._send({"type": "websocket.accept"})

    def tell(self, position: int, text: str) -> None:
        """Queue a state, in place of an older one; ignore it if it is not newer.

        While an answer to the client is computed, the state has to wait: the answer may have it.
        """
        if self._is_asking:
            self._later = position, text
        elif position > self.position:
            self.position, self._state = position, text
            self._wake.set()

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Compute an answer to a message of this client in the body."""
        self._is_asking = True
        try:
            yield
        finally:
            self._is_asking = False
            if self._later is not None:
                self.tell(*self._later)
                self._later = None

    def answer(self, position: int, text: str, wrong: bool) -> None:
        """Queue the answer to a message of this client.

        Parameters
        ----------
        position, text
            The state after the message.
        wrong : bool
            Whether `text` is an error message.
        """
        if wrong:
            if len(self._errors) >= MOST_WAITING:
                raise ConnectionError("it does not take the answers to what it says")
            self._errors.append(text)
        else:
            # It replaces what still waits: an older answer, and an older state.
            self.position, self._answer, self._state = position, text, None
        self._wake.set()

    async def send_all(self) -> None:
        """Send queued messages until cancelled.

        Raises
        ------
        ConnectionError
            The client did not receive a message in time.
        """
        while True:
            await self._wake.wait()
            self._wake.clear()
            texts = [*self._errors, *filter(None, (self._answer, self._state))]
            self._errors, self._answer, self._state = [], None, None
            for text in texts:
                try:
                    message = {"type": "websocket.send", "text": text}
                    await asyncio.wait_for(self._send(message), PATIENCE)
                except TimeoutError:
                    raise ConnectionError(f"it takes nothing for {PATIENCE} s") from None

    async def close(self, code: int, reason: str) -> None:
        """Close the connection, waiting at most 0.1 s for the client."""
        message = {"type": "websocket.close", "code": code, "reason": reason[:100]}
        await asyncio.wait_for(self._send(message), 0.1)


class _Room:
    """The clients of one channel, which are sent each change."""

    def __init__(self, rooms: Rooms, words: Mapping[str, Any]) -> None:
        self.clients: set[Client] = set()
        self._rooms, self._words = rooms, words
        self._changed = asyncio.Event()
        loop = asyncio.get_running_loop()
        channel = rooms.core.edits.found(words["path"], words.get("line", "")).edits
        self._deafen = channel.listen(lambda: loop.call_soon_threadsafe(self._changed.set))
        self._telling = asyncio.ensure_future(self._tell())

    def close(self) -> None:
        """Stop sending changes."""
        self._deafen()
        self._telling.cancel()

    def change(self) -> None:
        """Send the latest state to each client that does not have it."""
        self._changed.set()

    async def _tell(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            query = InfoQuery(method="websocket:restore", **self._words)
            try:
                text = await self._rooms.ask(query)
            except ButterflyError as error:
                log.warning("Edits of %s are not sent to clients: %s", query.path, error)
                continue
            assert query.state
            for client in list(self.clients):
                client.tell(query.state.position, text)


class Rooms:
    """A room for each channel that has connected clients.

    Parameters
    ----------
    core : Core
        Has the edits.
    """

    def __init__(self, core: Core) -> None:
        self.core = core
        self._rooms: dict[tuple[str, str], _Room] = {}

    async def ask(self, query: InfoQuery, message: Mapping[str, Any] | None = None) -> str:
        """Return the core's answer to a query or an edit, computed in its pool."""
        # Not suspendable: an edit must not be repeated.
        ticket = Ticket(query.path, suspendable=False)
        return await self.core.in_pool.run(ticket, self.core.get_edits, query, message or {})

    @contextmanager
    def joined(self, client: Client, words: Mapping[str, Any]) -> Iterator[None]:
        """Send a channel's state to a client, now and after each change, while the body runs.

        Parameters
        ----------
        client : Client
            The client.
        words : mapping
            Parameters of queries for the channel, which was queried before.
        """
        name = words["path"], words.get("line", "")
        room = self._rooms.get(name)
        if room is None:
            room = self._rooms[name] = _Room(self, words)
        room.clients.add(client)
        room.change()
        try:
            yield
        finally:
            room.clients.discard(client)
            if not room.clients:
                room.close()
                del self._rooms[name]
