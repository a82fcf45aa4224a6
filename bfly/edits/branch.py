"""The edits of a branch: a line of operations that begins after one of another line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from bfly.edits.branch_lineage import BranchLineage
from bfly.edits.branch_log import BranchLog
from bfly.edits.channel import ChannelEdits
from bfly.edits.log import MemoryLog
from bfly.edits.overlay import BranchState, Overlay
from bfly.edits.patch_store import PatchStore
from bfly.edits.replay import LATEST, Replay
from bfly.edits.splits import keyed

if TYPE_CHECKING:
    from bfly.edits.log import EditLog
    from bfly.edits.marks import Mark
    from bfly.edits.state import EditState

__all__ = ["BranchEdits", "channel_of", "draft_of", "place_of"]


class BranchEdits(ChannelEdits):
    """The latest state of a branch, and its changes. Thread-safe.

    Parameters
    ----------
    parent : ChannelEdits
        The channel or the branch that it began from.
    origin : int
        The last operation of that before. Own ones are numbered from the next number on.
    edit_log : EditLog
        Log of its own operations.
    key : str
        Its name in that log.
    name : str
        Its name, for messages.
    serial : int
        Its number among the lines of the channel, from 1.

    Raises
    ------
    BadRequest
        There is no such operation.
    DatabaseError
        The log cannot be read.
    """

    def __init__(
        self,
        parent: ChannelEdits,
        origin: int,
        edit_log: EditLog,
        key: str,
        name: str,
        serial: int,
    ) -> None:
        self.parent, self.origin, self.serial = parent, origin, serial
        self._base = parent.at(origin)
        self.line = f"/{serial}"
        before = [each for each in parent.ranges if each[1] <= self._base.last_number]
        self.ranges = (*before, (serial, self._base.last_number))
        log = BranchLog(edit_log, key, parent.log, parent.path, origin)
        super().__init__(name, log)

    @override
    def at(self, position: int) -> EditState:
        return self.parent.at(position) if position <= self.origin else super().at(position)

    @override
    def _opened(self, most: int = LATEST) -> Replay:
        return BranchReplay(self.path, self.log, self.parent, self._base, most)


class BranchReplay(Replay):
    """The log of a branch, applied over the state that it began from.

    Parameters
    ----------
    path, edit_log, most
        As those of `Replay`.
    parent : ChannelEdits
        What the branch began from.
    base : EditState
        The state that it began from.
    """

    forest: Overlay

    def __init__(
        self, path: str, edit_log: EditLog, parent: ChannelEdits, base: EditState, most: int
    ) -> None:
        self._parent, self._base = parent, base
        super().__init__(path, edit_log, most)

    @override
    def _begin(self) -> None:
        origin, history = self._base.position, self._parent.history
        self.forest = Overlay(self._base)
        self.position = origin
        self._recent.skip(origin)
        self._told = self._base.splits
        self._splits = keyed(self._told)
        self.lineage = BranchLineage(history.lineage, origin)
        self.taken_back = history.taken_back.until(origin)
        self.patches = PatchStore.of(history.patches(), origin, self.taken_back)

    @override
    def _of(self, mark: Mark) -> EditState:
        return BranchState(self.forest, mark, self._recent)


def channel_of(edits: ChannelEdits) -> ChannelEdits:
    """Return the channel itself that a line is of."""
    while isinstance(edits, BranchEdits):
        edits = edits.parent
    return edits


def place_of(edits: ChannelEdits, operation: int) -> tuple[int, int]:
    """Return the serial number of the line that an operation is of, and its number."""
    while isinstance(edits, BranchEdits) and operation <= edits.origin:
        edits = edits.parent
    return edits.serial, operation


def draft_of(edits: ChannelEdits, position: int) -> BranchEdits:
    """Return a branch in memory that begins after an operation.

    If that is the last one, the operations of the draft may be appended to what it begins from.
    """
    return BranchEdits(edits, position, MemoryLog(), "draft", edits.path, 0)
