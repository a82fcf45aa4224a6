"""The edits of one channel: its log and what the log makes, kept together."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import numpy as np

from bfly.concurrency.threads import starting
from bfly.edits.merge_table import operations_of
from bfly.edits.replay import Replay
from bfly.errors import BadRequest, Busy, DatabaseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bfly.edits.log import EditLog
    from bfly.edits.operation import Operation
    from bfly.edits.state import EditState

__all__ = ["ChannelEdits"]

log = logging.getLogger(__name__)

OFTEN = 20_000
"""After how many operations a snapshot may be kept."""

WORTH = 32
"""A snapshot is kept when the operations since the last are so few times fewer than what it has
to list, which takes about as long to read."""


class ChannelEdits:
    """Knows the latest state of a channel, and changes it; for any number of threads.

    Parameters
    ----------
    path : str
        The channel's, which names it in the log.
    edit_log : EditLog
        The log.

    Raises
    ------
    DatabaseError
        The log cannot be read.
    """

    def __init__(self, path: str, edit_log: EditLog) -> None:
        self.path = path
        self._log = edit_log
        self._changing = threading.Lock()
        self._listeners: set[Callable[[], object]] = set()
        self._replay = Replay(path, edit_log)
        self._state = self._replay.state()
        self._snapshot = self._replay.snapshot
        self._keeper: threading.Thread | None = None

    @property
    def state(self) -> EditState:
        """The latest state that this process has heard of."""
        return self._state

    @property
    def nbytes(self) -> int:
        """The memory that the segments take, room to grow included."""
        return self._replay.forest.nbytes

    def at(self, position: int) -> EditState:
        """Give the state after any operation, rebuilt from the log.

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
        """Give all operations, in their order, few in memory at once."""
        return self._log.read(self.path)

    def listen(self, listener: Callable[[], object]) -> Callable[[], None]:
        """Call somebody, from any thread, after each change; gives what ends that."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def catch_up(self) -> None:
        """Take notice of what others appended.

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
        """Append operations, which are durable and seen by all when it returns.

        Parameters
        ----------
        operations : callable
            Gives them, made from the latest state, which nobody changes meanwhile. What it
            raises leaves the log as it was.

        Returns
        -------
        EditState
            After them.

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
        """Put the state as it is now in the place of an older one."""
        if self._replay.position == self._state.position:
            return
        old, self._state = self._state, self._replay.state()
        old.current = False
        for listener in list(self._listeners):
            listener()

    def _keep(self, state: EditState) -> None:
        """Keep a snapshot now and then, while others go on."""
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
            # The edit is durable without a snapshot, which the next edit may keep.
            log.warning("No snapshot of the edits of %s was kept: %s", self.path, error)
            return
        self._snapshot, self._keeper = state.position, keeper

    def _keep_now(self, state: EditState) -> None:
        try:
            none = np.empty(0, np.uint64)
            parts = operations_of(*state.table(), none, state.position, splits=state.splits)
            self._log.keep_snapshot(self.path, state.position, (part.pack() for part in parts))
        except DatabaseError as error:
            log.warning("No snapshot of the edits of %s was kept: %s", self.path, error)
