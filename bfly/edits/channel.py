"""The edits of one channel: its log and the resulting state."""

from __future__ import annotations

import logging
import threading
from bisect import bisect_right
from collections import OrderedDict
from typing import TYPE_CHECKING

from bfly.concurrency.threads import starting
from bfly.edits.history import History
from bfly.edits.replay import LATEST, Replay
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

KEPT = 64
"""Past states that are kept, so that one that is asked for again is the same object."""

REPLAYED = 2
"""Past states that the forest does not have, and that are kept: each takes as much memory."""

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
    stops : iterable of int
        Operations whose states are wanted later, which are cheap then.

    Raises
    ------
    DatabaseError
        The log cannot be read.

    Attributes
    ----------
    log : EditLog
        Log of the process, or of the branch.
    history : History
        What the log says about segments; for functions given to `append`.
    """

    serial = 0
    """Number among the lines of the channel, which is the first."""

    line = ""
    """What distinguishes the states of the channel's branches; "" for the channel itself."""

    ranges: tuple[tuple[int, int], ...] = ((0, 0),)
    """Serial number of each line that made root ids, in their order, and the last number before."""

    def __init__(self, path: str, edit_log: EditLog, stops: Iterable[int] = ()) -> None:
        self.path = path
        self.log = edit_log
        self._stops = tuple(stops)
        self._changing = threading.Lock()
        self._listeners: set[Callable[[], object]] = set()
        self._past: OrderedDict[int, EditState] = OrderedDict()
        self._replayed: OrderedDict[int, EditState] = OrderedDict()
        self._replaying = threading.Lock()
        self._replay = self._opened()
        self.history = History(path, edit_log, self._replay)
        self._state = self._latest()
        self._snapshot = self._replay.snapshot
        self._keeper: threading.Thread | None = None
        self._keep(self._state)

    @property
    def state(self) -> EditState:
        """Latest state that this process has read."""
        return self._state

    @property
    def nbytes(self) -> int:
        """Bytes of the segments and patches, with the space reserved for growth."""
        return self._replay.forest.nbytes + self._replay.patches.nbytes

    def at(self, position: int) -> EditState:
        """Return the state after any operation, rebuilt from the log.

        It is cheap if the forest has it; see `Replay.past`. If it is asked for again soon, it is
        the same object.

        Raises
        ------
        BadRequest
            There is no such operation.
        DatabaseError
            The log cannot be read.
        """
        if (known := self._past.get(position)) is not None:
            return known
        if position > self._replay.position:
            self.catch_up()
        last = self._replay.position
        if not 0 <= position <= last:
            raise BadRequest(f"The operation {position} is not from 0 to {last}.")
        state = self._replay.past(position) or self._again(position)
        state.on_line(f"{self.line}@{position}")
        with self._replaying:
            state = self._past.setdefault(position, state)
            if len(self._past) > KEPT:
                self._past.popitem(last=False)
        return state

    def _again(self, position: int) -> EditState:
        """Return a state rebuilt from the log, which the forest does not have."""
        with self._replaying:
            if position not in self._replayed:
                self._replayed[position] = self._opened(position).state()
                if len(self._replayed) > REPLAYED:
                    old, _ = self._replayed.popitem(last=False)
                    self._past.pop(old, None)
            return self._replayed[position]

    def _opened(self, most: int = LATEST) -> Replay:
        """Return the log, applied up to an operation."""
        return Replay(self.path, self.log, most, self._stops)

    def _latest(self) -> EditState:
        state = self._replay.state().on_line(self.line)
        state.newest = lambda: self._state
        state.patched.newest = lambda: self._state.patched
        return state

    def last_before(self, moment: float) -> int:
        """Return the last operation up to a time in seconds since 1970; 0 if there is none.

        Operations count with whole seconds, as the log tells them.
        """
        numbers = range(1, self._replay.position + 1)
        return bisect_right(numbers, moment, key=self._time_of)

    def _time_of(self, operation: int) -> int:
        return int(next(iter(self.log.get(self.path, [operation]))).time)

    def operations(self) -> Iterator[Operation]:
        """Yield all operations in order, with few in memory at once."""
        return self.log.read(self.path)

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
                with self.log.writing():
                    self._replay.read_on()
                    done = list(operations(self._replay.state()))
                    for operation in done:
                        self.log.append(self.path, operation)
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
        old, self._state = self._state, self._latest()
        old.retire()
        for listener in list(self._listeners):
            listener()

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
            replay = self._replay
            made = [patch.number for patch in replay.patches.made()]
            parts = parts_of(state, replay.lineage, replay.taken_back, made)
            self.log.keep_snapshot(self.path, state.position, parts)
        except DatabaseError as error:
            log.warning("No snapshot of the edits of %s was kept: %s", self.path, error)
