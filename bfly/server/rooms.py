"""Who is connected to which channel, and what each is still to be sent."""

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
"""Seconds for a client to take a message."""

MOST_WAITING = 64
"""Answers to its own messages that a client may leave waiting."""


class Client:
    """Somebody who is connected.

    Parameters
    ----------
    send : callable
        Sends an ASGI message.

    Attributes
    ----------
    position : int
        The last operation of the latest state that it was, or is about to be, sent; -1 before.
    """

    def __init__(self, send: Send) -> None:
        self.position = -1
        self._send = send
        self._state: str | None = None
        self._errors: list[str] = []
        self._wake = asyncio.Event()

    def tell(self, position: int, text: str) -> None:
        """Let it have a state, unless it has that or a later one; an older one is not sent."""
        if position > self.position:
            self.position, self._state = position, text
            self._wake.set()

    def answer(self, position: int, text: str, known: int, wrong: bool) -> None:
        """Answer a message of its own.

        Parameters
        ----------
        position, text
            The state after it.
        known : int
            The `position` when it came: what was told since is an answer too.
        wrong : bool
            Whether the text says what was wrong.
        """
        if wrong:
            if len(self._errors) >= MOST_WAITING:
                raise ConnectionError("it does not take the answers to what it says")
            self._errors.append(text)
        elif self.position == known or position > self.position:
            self.position, self._state = max(position, self.position), text
        self._wake.set()

    async def send_all(self) -> None:
        """Send what there is to be sent, as it comes.

        Raises
        ------
        ConnectionError
            It does not take it.
        """
        while True:
            await self._wake.wait()
            self._wake.clear()
            texts, self._errors = self._errors, []
            if self._state is not None:
                texts.append(self._state)
                self._state = None
            for text in texts:
                try:
                    message = {"type": "websocket.send", "text": text}
                    await asyncio.wait_for(self._send(message), PATIENCE)
                except TimeoutError:
                    raise ConnectionError(f"it takes nothing for {PATIENCE} s") from None

    async def close(self, code: int, reason: str) -> None:
        """Close the connection; a client that takes nothing is not waited for."""
        message = {"type": "websocket.close", "code": code, "reason": reason[:100]}
        await asyncio.wait_for(self._send(message), 0.1)


class _Room:
    """The clients of one channel, who are told of each change."""

    def __init__(self, rooms: Rooms, words: Mapping[str, Any]) -> None:
        self.clients: set[Client] = set()
        self._rooms, self._words = rooms, words
        self._changed = asyncio.Event()
        loop = asyncio.get_running_loop()
        channel = rooms.core.edits.channel(words["path"])
        self._deafen = channel.listen(lambda: loop.call_soon_threadsafe(self._changed.set))
        self._telling = asyncio.ensure_future(self._tell())

    def close(self) -> None:
        """Tell nobody any more."""
        self._deafen()
        self._telling.cancel()

    def change(self) -> None:
        """Let everybody be told who does not have the latest state."""
        self._changed.set()

    async def _tell(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            query = InfoQuery(method="websocket:restore", **self._words)
            try:
                text = await self._rooms.ask(query)
            except ButterflyError as error:
                log.warning("Nobody is told of edits of %s: %s", query.path, error)
                continue
            assert query.state
            for client in list(self.clients):
                client.tell(query.state.position, text)


class Rooms:
    """A room for each channel that somebody is connected to.

    Parameters
    ----------
    core : Core
        Knows the edits.
    """

    def __init__(self, core: Core) -> None:
        self.core = core
        self._rooms: dict[str, _Room] = {}

    async def ask(self, query: InfoQuery, message: Mapping[str, Any] | None = None) -> str:
        """Ask the core about edits, in its pool."""
        # Never done twice: it may be an edit.
        ticket = Ticket(query.path, suspendable=False)
        return await self.core.in_pool.run(ticket, self.core.get_edits, query, message or {})

    @contextmanager
    def joined(self, client: Client, words: Mapping[str, Any]) -> Iterator[None]:
        """Tell a client of a channel's state, now and after each change.

        Parameters
        ----------
        client : Client
            Who.
        words : mapping
            Of queries about the channel, which has been asked about before.
        """
        room = self._rooms.get(words["path"])
        if room is None:
            room = self._rooms[words["path"]] = _Room(self, words)
        room.clients.add(client)
        room.change()
        try:
            yield
        finally:
            room.clients.discard(client)
            if not room.clients:
                room.close()
                del self._rooms[words["path"]]
