"""The edits of all channels of a process, and what other processes do to them."""

from __future__ import annotations

import logging
import threading
import weakref
from typing import TYPE_CHECKING

from bfly.concurrency.threads import starting
from bfly.edits.channel import ChannelEdits
from bfly.errors import ButterflyError

if TYPE_CHECKING:
    from bfly.edits.log import EditLog

__all__ = ["Edits"]

log = logging.getLogger(__name__)

LISTEN = 0.5
"""Seconds after which the listener looks whether anybody still needs it."""

RETRY = 2.0
"""Seconds between attempts to reach a database that is away."""


class Edits:
    """Opens channels, and makes them catch up with what other processes append.

    Parameters
    ----------
    edit_log : EditLog
        The log.

    Attributes
    ----------
    changes : int
        Grows whenever the state of some channel changes.
    """

    def __init__(self, edit_log: EditLog) -> None:
        self.log = edit_log
        self._channels: dict[str, ChannelEdits] = {}
        self._opening = threading.Lock()
        self._listener: threading.Thread | None = None
        self._closed = threading.Event()
        self.changes = 0

    def channel(self, path: str) -> ChannelEdits:
        """Give the edits of a channel; the first time its log is read.

        Raises
        ------
        DatabaseError
            The log cannot be read.
        Busy
            No thread can be started that hears of other processes' edits.
        """
        found = self._channels.get(path)
        if found is not None:
            return found
        with self._opening:
            if self.log.durable and self._listener is None and not self._closed.is_set():
                listener = threading.Thread(
                    target=_listen, args=(weakref.ref(self), self.log, self._closed), daemon=True
                )
                with starting():
                    listener.start()
                self._listener = listener
            if path not in self._channels:
                channel = ChannelEdits(path, self.log)
                channel.listen(self._count)
                self._channels[path] = channel
            return self._channels[path]

    def _count(self) -> None:
        self.changes += 1

    def catch_up(self) -> None:
        """Take notice of what other processes appended to the channels that were opened."""
        for channel in list(self._channels.values()):
            channel.catch_up()

    def close(self) -> None:
        """Hear no more of other processes."""
        self._closed.set()
        self.log.close()
        if self._listener is not None:
            self._listener.join(2 * LISTEN)


def _listen(
    edits: weakref.ReferenceType[Edits], edit_log: EditLog, closed: threading.Event
) -> None:
    """Let channels catch up until there is nobody who would know."""
    failed = False
    while not closed.is_set():
        try:
            edit_log.wait(LISTEN)
            if (listening := edits()) is None:
                edit_log.close()
                break
            listening.catch_up()
            del listening
            if failed:
                log.warning("Edits of other processes are heard of again")
            failed = False
        except ButterflyError as error:
            if not failed:
                log.warning("Edits of other processes are not heard of: %s", error)
            failed = True
            closed.wait(RETRY)
