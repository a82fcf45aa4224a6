"""The edits of one channel: its log and the resulting state."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from bfly.concurrency.threads import starting
from bfly.edits.history import History
from bfly.edits.replay import Replay
from bfly.edits.snapshots import parts_of
from bfly.errors import BadRequest, Busy, DatabaseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bfly.edits.log import EditLog
    from bfly.edits.operation import Operation
    from bfly.edits.state import EditState

__all__ = ["ChannelEdits"]

log = logging.getLogger(__name__)

OFTEN = 20_000
"""Operations between two snapshots, at least."""

WORTH = 128
"""A snapshot lists at most this many ids for each operation since the last one: then both take
about as long to read."""


class ChannelEdits:
    """The latest state of a channel, and its changes. Thread-safe.

    Parameters
    ----------
    path : str
        Path of the channel, its key in the log.
    edit_log : EditLog
        Log of the process.

    Raises
    ------
    DatabaseError
        The log cannot be read.

    Attributes
    ----------
    history : History
        What the log says about segments; for functions given to `append`.
    """

    def __init__(self, path: str, edit_log: EditLog) -> None:
        self.path = path
        self._log = edit_log
        self._changing = threading.Lock()
        self._listeners: set[Callable[[], object]] = set()
        self._replay = Replay(path, edit_log)
        self.history = History(path, edit_log, self._replay)
        self._state = self._newest()
        self._snapshot = self._replay.snapshot
        self._keeper: threading.Thread | None = None
        self._keep(self._state)

    @property
    def state(self) -> EditState:
        """Latest state that this process has read."""
        return self._state

    @property
    def nbytes(self) -> int:
        """Bytes of the segments, with the space reserved for growth."""
        return self._replay.forest.nbytes

    def at(self, position: int) -> EditState:
        """Return the state after any operation, rebuilt from the log.

        Raises
        ------
        BadRequest
            There is no such operation.
        """
        last = self._log.last(self.path)
        if not 0 <= position <= last:
            raise BadRequest(f"The operation {position} is not from 0 to {last}.")
        return Replay(self.path, self._log, position).state()

    def operations(self) -> Iterator[Operation]:
        """Yield all operations in order, with few in memory at once."""
        return self._log.read(self.path)

    def listen(self, listener: Callable[[], object]) -> Callable[[], None]:
        """Register a callback, called from any thread after each change.

        Returns a function that unregisters it.
        """
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def catch_up(self) -> None:
        """Read what other processes have appended.

        Raises
        ------
        DatabaseError
            The log cannot be read.
        """
        with self._changing:
            try:
                self._replay.read_on()
            finally:
                self._publish()

    def append(self, operations: Callable[[EditState], Iterable[Operation]]) -> EditState:
        """Append operations. On return they are durable and visible to all processes.

        Parameters
        ----------
        operations : callable
            Called with the latest state, which does not change meanwhile; returns the
            operations. If it raises, the log is unchanged.

        Returns
        -------
        EditState
            State after the operations.

        Raises
        ------
        DatabaseError
            The log cannot be read or written.
        """
        with self._changing:
            try:
                with self._log.writing():
                    self._replay.read_on()
                    done = list(operations(self._replay.state()))
                    for operation in done:
                        self._log.append(self.path, operation)
                self._replay.do(done)
            finally:
                self._publish()
            state = self._state
        self._keep(state)
        return state

    def _publish(self) -> None:
        """Replace the published state if the replay has moved on."""
        if self._replay.position == self._state.position:
            return
        old, self._state = self._state, self._newest()
        old.current = False
        for listener in list(self._listeners):
            listener()

    def _newest(self) -> EditState:
        state = self._replay.state()
        state.newest = lambda: self._state
        return state

    def _keep(self, state: EditState) -> None:
        """Write a snapshot if enough has changed, in a thread of its own."""
        since = state.position - self._snapshot
        if (
            since < OFTEN
            or since * WORTH < state.count
            or (self._keeper and self._keeper.is_alive())
        ):
            return
        keeper = threading.Thread(target=self._keep_now, args=(state,), daemon=True)
        try:
            with starting():
                keeper.start()
        except Busy as error:
            # The edit is durable without a snapshot, and the next edit may write one.
            log.warning("No snapshot of the edits of %s was kept: %s", self.path, error)
            return
        self._snapshot, self._keeper = state.position, keeper

    def keep_now(self) -> None:
        """Write a snapshot of the latest state, whatever has changed since the last one."""
        self._keep_now(self._state)

    def _keep_now(self, state: EditState) -> None:
        try:
            parts = parts_of(state, self._replay.lineage, self._replay.taken_back)
            self._log.keep_snapshot(self.path, state.position, parts)
        except DatabaseError as error:
            log.warning("No snapshot of the edits of %s was kept: %s", self.path, error)
