"""The branches, snapshots and past states of one channel, opened by their names."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from bfly.edits.branch import BranchEdits
from bfly.edits.line_names import StateName, checked_name
from bfly.edits.lines import BRANCH, SNAPSHOT, Line, Lines, key_of
from bfly.edits.patch_ids import PatchIds
from bfly.errors import Absent, BadRequest, Conflict

if TYPE_CHECKING:
    from bfly.edits.channel import ChannelEdits
    from bfly.edits.edits import Edits
    from bfly.edits.state import EditState

__all__ = ["ChannelLines", "Found"]

LISTED = 20
"""Names that a message lists."""

MOMENTS = 256
"""Times whose operation is remembered."""

SETTLED = 60.0
"""Seconds after which no process can still append an operation of an earlier time."""


class Found(NamedTuple):
    """A state with the line that it is of.

    Parameters
    ----------
    edits : ChannelEdits
        The channel, or the branch.
    state : EditState
        The state.
    frozen : str
        What it is if nothing can be appended to it, such as ``the snapshot v1``; else "".
    """

    edits: ChannelEdits
    state: EditState
    frozen: str = ""

    @property
    def writable(self) -> ChannelEdits:
        """The line, if operations may be appended after the state.

        Raises
        ------
        Conflict
            They may not.
        """
        if self.frozen:
            raise Conflict(
                f"This is {self.frozen}, which never changes: make a branch from it, and edit that."
            )
        return self.edits


class ChannelLines:
    """The branches, snapshots and past states of a channel. Thread-safe.

    Parameters
    ----------
    path : str
        Path of the channel.
    edits : Edits
        Opens the channel.

    Raises
    ------
    DatabaseError
        The log cannot be read.
    """

    def __init__(self, path: str, edits: Edits) -> None:
        self._path, self._edits = path, edits
        self._lines = Lines(path, edits.log)
        self._branches: dict[str, BranchEdits] = {}
        self._opening = threading.RLock()
        self._moments: OrderedDict[tuple[str, float], int] = OrderedDict()

    @property
    def stops(self) -> list[int]:
        """The operations of the channel itself that branches and snapshots are from."""
        return [line.at for line in self._lines.all() if not line.origin]

    @cached_property
    def patch_ids(self) -> PatchIds:
        """The ids that patches of the channel and of its branches made."""
        return PatchIds(self.branch(""))

    def all(self) -> list[Line]:
        """Return the branches and snapshots; raises `DatabaseError`."""
        self._lines.catch_up()
        return self._lines.all()

    def catch_up(self) -> None:
        """Read what other processes have appended to the opened branches, and the list."""
        self._lines.catch_up()
        for branch in list(self._branches.values()):
            branch.catch_up()

    def found(self, text: str) -> Found:
        """Return the state with a name; see `Edits.found`."""
        name = StateName.parse(text)
        line = self._named(name.line) if name.line else None
        if line is not None and line.kind == SNAPSHOT:
            if (name.operation, name.moment) != (None, None):
                raise BadRequest(f"{line.name} is a snapshot: it has no operations, so no {text}.")
            edits = self.branch(line.origin)
            return Found(edits, edits.at(line.at), f"the snapshot {line.name}")
        edits = self.branch(name.line)
        if name.moment is not None:
            position = self._operation_at(edits, name.line, name.moment)
            return Found(edits, edits.at(position), f"a past state, of {text}")
        if name.operation is not None:
            return Found(edits, edits.at(name.operation), f"a past state, of {text}")
        return Found(edits, edits.state)

    def branch(self, name: str) -> ChannelEdits:
        """Return a branch by its name; "" is the channel itself.

        Raises
        ------
        Absent
            There is none of this name.
        BadRequest
            It is a snapshot.
        DatabaseError
            The log cannot be read.
        """
        if not name:
            return self._edits.channel(self._path)
        opened = self._branches.get(name)
        if opened is not None:
            return opened
        with self._opening:
            if name not in self._branches:
                self._branches[name] = self._opened(self._named(name))
            return self._branches[name]

    def _opened(self, line: Line) -> BranchEdits:
        if line.kind != BRANCH:
            raise BadRequest(f"{line.name} is a snapshot, not a branch.")
        parent, key = self.branch(line.origin), key_of(self._path, line.serial)
        name = f"{self._path}@{line.name}"
        branch = BranchEdits(parent, line.at, self._edits.log, key, name, line.serial)
        branch.listen(self._edits.count)
        return branch

    def _named(self, name: str) -> Line:
        line = self._lines.get(name)
        if line is None:
            self._lines.catch_up()
            line = self._lines.get(name)
        if line is None:
            names = [each.name for each in self._lines.all()]
            more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
            there = (
                f"there are {', '.join(names[:LISTED])}{more}" if names else "there are none yet"
            )
            raise Absent(f"There is no branch or snapshot {name} of {self._path}; {there}.")
        return line

    def _operation_at(self, edits: ChannelEdits, line: str, moment: float) -> int:
        key = line, moment
        position = self._moments.get(key)
        if position is None:
            edits.catch_up()
            position = edits.last_before(moment)
            if moment < time.time() - SETTLED:
                self._moments[key] = position
                while len(self._moments) > MOMENTS:
                    self._moments.popitem(last=False)
        return position

    def add(self, kind: str, name: object, of: str, who: str) -> Line:
        """Name a state, durably: as a branch that begins from it, or as a snapshot of it.

        Parameters
        ----------
        kind : {"branch", "snapshot"}
            What is made.
        name : str
            Its name.
        of : str
            Name of the state; see `found`.
        who : str
            The author.

        Raises
        ------
        BadRequest
            The name is not allowed, or there are too many.
        Conflict
            Another one has the name.
        Absent, DatabaseError
            As `found`.
        """
        name = checked_name(name)
        found = self.found(of) if of else Found(channel := self.branch(""), channel.state)
        origin, at = self._name_of(found.edits), found.state.position
        while isinstance(found.edits, BranchEdits) and at <= found.edits.origin:
            found = found._replace(edits=found.edits.parent)
            origin = self._name_of(found.edits)
        return self._lines.add(kind, name, origin, at, who)

    def _name_of(self, edits: ChannelEdits) -> str:
        names = (name for name, branch in self._branches.items() if branch is edits)
        return next(names, "")
