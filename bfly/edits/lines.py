"""The branches and snapshots of a channel: a durable list, in a log of its own."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bfly.edits.operation import Operation
from bfly.errors import BadRequest, Conflict

if TYPE_CHECKING:
    from bfly.edits.log import EditLog

__all__ = ["BRANCH", "SNAPSHOT", "Line", "Lines", "key_of"]

BRANCH, SNAPSHOT = "branch", "snapshot"

MOST = 1000
"""Branches and snapshots of a channel, together."""


@dataclass(frozen=True)
class Line:
    """A branch or a snapshot.

    Attributes
    ----------
    kind : str
        `BRANCH` or `SNAPSHOT`.
    name : str
        Its name, unique among both kinds.
    serial : int
        Its number in the list, from 1.
    origin : str
        Name of the branch that it comes from; "" for the channel itself.
    at : int
        The last operation of that before.
    who : str
        Name of the author.
    time : float
        Seconds since 1970.
    """

    kind: str
    name: str
    serial: int
    origin: str
    at: int
    who: str
    time: float


def key_of(path: str, serial: int) -> str:
    """Return the key of a branch in the log; with 0, of the list.

    No path has a NUL, so it is that of no channel.
    """
    return f"{path}\0{serial}"


class Lines:
    """The branches and snapshots of a channel. Thread-safe.

    Parameters
    ----------
    path : str
        Path of the channel.
    log : EditLog
        Log of the process.

    Raises
    ------
    DatabaseError
        The log cannot be read.
    """

    def __init__(self, path: str, log: EditLog) -> None:
        self._key, self._log = key_of(path, 0), log
        self._reading = threading.Lock()
        self._known: dict[str, Line] = {}
        self.catch_up()

    def catch_up(self) -> None:
        """Read what was added since; raises `DatabaseError`."""
        with self._reading:
            self._read_on()

    def _read_on(self) -> None:
        for each in self._log.read(self._key, len(self._known)):
            name, origin = each.line
            line = Line(each.kind, name, each.id, origin, each.base, each.who, each.time)
            self._known[name] = line

    def all(self) -> list[Line]:
        """Return all in the order in which they were made."""
        return list(self._known.values())

    def get(self, name: str) -> Line | None:
        """Return a branch or a snapshot; None if this process has read of none."""
        return self._known.get(name)

    def add(self, kind: str, name: str, origin: str, at: int, who: str) -> Line:
        """Add a branch or a snapshot, durably. One that is there already is returned.

        Raises
        ------
        Conflict
            The name is that of another one.
        BadRequest
            There are as many as there may be.
        DatabaseError
            The log cannot be written.
        """
        with self._reading, self._log.writing():
            self._read_on()
            known = self._known.get(name)
            if known is not None and (known.kind, known.origin, known.at) != (kind, origin, at):
                raise Conflict(
                    f"There is a {known.kind} {name} already, from the operation {known.at} of "
                    f"{known.origin or 'the channel'}: choose another name."
                )
            if known is None:
                if len(self._known) >= MOST:
                    raise BadRequest(f"There are {MOST} branches and snapshots, the most allowed.")
                number = len(self._known) + 1
                made = Operation(number, kind, who, at, line=(name, origin), knows_before=True)
                self._log.append(self._key, made)
        with self._reading:
            self._read_on()
        return self._known[name]
