"""The edits of all channels of a process, kept up to date with other processes."""

from __future__ import annotations

import logging
import threading
import weakref
from typing import TYPE_CHECKING

from bfly.concurrency.threads import starting
from bfly.edits.channel import ChannelEdits
from bfly.edits.channel_lines import ChannelLines, Found
from bfly.edits.first_tables import begin
from bfly.edits.stored_edges import EdgeStore
from bfly.errors import BadRequest, ButterflyError

if TYPE_CHECKING:
    from bfly.edits.log import EditLog
    from bfly.edits.state import EditState

__all__ = ["Edits"]

log = logging.getLogger(__name__)

LISTEN = 0.5
"""Seconds between two checks of the listener whether its `Edits` still exists."""

RETRY = 2.0
"""Seconds between attempts to reach a database that is unavailable."""


class Edits:
    """The opened channels, which follow what other processes append.

    Parameters
    ----------
    edit_log : EditLog
        Log of the process.
    first : str, optional
        Folder with edits of the first Butterfly: a channel without a log begins with them.

    Attributes
    ----------
    changes : int
        Counter that grows whenever the state of a channel changes.
    """

    def __init__(self, edit_log: EditLog, first: str | None = None) -> None:
        self.log = edit_log
        self._first = first
        self._channels: dict[str, ChannelEdits] = {}
        self._lines: dict[str, ChannelLines] = {}
        self._opening = threading.RLock()
        self._listener: threading.Thread | None = None
        self._closed = threading.Event()
        self.changes = 0

    def channel(self, path: str) -> ChannelEdits:
        """Return the edits of a channel. The first call reads its log.

        Raises
        ------
        DatabaseError
            The log cannot be read.
        SourceError
            A table of the first Butterfly cannot be read.
        Busy
            The thread that follows other processes' edits cannot be started.
        """
        opened = self._channels.get(path)
        if opened is not None:
            return opened
        with self._opening:
            if self.log.durable and self._listener is None and not self._closed.is_set():
                listener = threading.Thread(
                    target=_listen, args=(weakref.ref(self), self.log, self._closed), daemon=True
                )
                with starting():
                    listener.start()
                self._listener = listener
            if path not in self._channels:
                channel = ChannelEdits(path, self.log, self.lines(path).stops)
                if self._first:
                    begin(channel, self._first)
                channel.listen(self.count)
                self._channels[path] = channel
            return self._channels[path]

    def lines(self, path: str) -> ChannelLines:
        """Return the branches, snapshots and past states of a channel; raises as `channel`."""
        opened = self._lines.get(path)
        if opened is not None:
            return opened
        with self._opening:
            if path not in self._lines:
                self._lines[path] = ChannelLines(path, self)
            return self._lines[path]

    def found(self, path: str, text: str = "") -> Found:
        """Return the state of a channel that is called so in addresses, behind the ``@``.

        Parameters
        ----------
        path : str
            Path of the channel.
        text : str
            See `bfly.edits.line_names`; "" for the latest state of the channel.

        Raises
        ------
        Absent
            There is no such branch or snapshot.
        BadRequest
            It is no name, or there is no such operation.
        DatabaseError, SourceError, Busy
            As `channel`.
        """
        if not text:
            channel = self.channel(path)
            return Found(channel, channel.state)
        return self.lines(path).found(text)

    def state(self, path: str, line: str = "", at: int | float | None = None) -> EditState:
        """Return a state of a channel, or of a branch, after an operation, or at a time.

        Parameters
        ----------
        path, line : str
            As those of `found`.
        at : int or float, optional
            An operation (int), or seconds since 1970 (float); by default the latest state.

        Raises
        ------
        BadRequest
            There is no such operation, or the line is a past state itself.
        Absent, DatabaseError, SourceError, Busy
            As `found`.
        """
        found = self.found(path, line)
        if at is None:
            return found.state
        if found.frozen:
            raise BadRequest(f"This is {found.frozen}: it has no other states.")
        position = found.edits.last_before(at) if isinstance(at, float) else at
        return found.state if position == found.state.position else found.edits.at(position)

    @property
    def edge_store(self) -> EdgeStore | None:
        """Where stored edges of channels are kept; None if the log keeps none."""
        return self.log if isinstance(self.log, EdgeStore) else None

    def has(self, path: str) -> bool:
        """Return whether a channel has edits, without reading them.

        Raises
        ------
        DatabaseError
            The log cannot be read.
        SourceError
            A table of the first Butterfly cannot be read.
        """
        if path in self._channels or self._first:
            return self.channel(path).state.position > 0
        return self.log.last(path) > 0

    def count(self) -> None:
        """Count a change."""
        self.changes += 1

    def catch_up(self) -> None:
        """Read what other processes have appended to the opened channels."""
        for channel in list(self._channels.values()):
            channel.catch_up()
        for lines in list(self._lines.values()):
            lines.catch_up()

    def close(self) -> None:
        """Stop following other processes, and close the log."""
        self._closed.set()
        self.log.close()
        if self._listener is not None:
            self._listener.join(2 * LISTEN)


def _listen(
    edits: weakref.ReferenceType[Edits], edit_log: EditLog, closed: threading.Event
) -> None:
    """Let channels catch up until the `Edits` are closed or garbage-collected."""
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
                log.warning("Edits of other processes are followed again")
            failed = False
        except ButterflyError as error:
            if not failed:
                log.warning("Edits of other processes are not followed: %s", error)
            failed = True
            closed.wait(RETRY)
