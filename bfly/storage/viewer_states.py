"""Viewer states, stored as files that are named after the hash of their content."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NoReturn

from bfly.errors import Absent, BadRequest, DatabaseError, TooLarge

__all__ = ["LARGEST", "MOST", "MOST_STATES", "States"]

log = logging.getLogger(__name__)

LARGEST = 1 << 20
"""Bytes of one state at most."""

MOST = 256 << 20
"""Bytes of all states together at most."""

MOST_STATES = 65_536
"""Number of states at most: as many as fill `MOST` on a disk with blocks of 4 KiB."""

UNUSED = 30 * 86_400.0
"""Seconds without use after which a state may be removed to make room. It is so long that a flood
of states cannot evict links in use."""

RECOUNT = 10.0
"""Seconds between scans of a full folder."""

TOUCHED = 86_400.0
"""Seconds after which the use of a state is recorded again."""

SHARE = 16
"""Scans of the folder while it fills, since other processes write to it too."""

_NAME = re.compile("[0-9a-f]{16,64}")


class States:
    """Stores states in a folder, which is created for the first one.

    Several processes may share it. Each scans the folder, counts what it adds, and scans again
    after it added a sixteenth of what is allowed.

    Parameters
    ----------
    folder : str
        The folder of the states.
    most : int
        Bytes of all states together at most.
    most_states : int
        Number of states at most.
    """

    def __init__(self, folder: str, most: int = MOST, most_states: int = MOST_STATES) -> None:
        self._folder = folder
        self._most, self._most_states = most, most_states
        self._lock = threading.Lock()
        self._count: _Count | None = None

    def keep(self, state: bytes) -> str:
        """Store a state and return its name; the same bytes have the same name.

        Parameters
        ----------
        state : bytes
            A JSON object in UTF-8.

        Raises
        ------
        BadRequest
            The state is not a JSON object.
        TooLarge
            The state is larger than `LARGEST`, or there is no room for more.
        DatabaseError
            The folder cannot be written to.
        """
        if len(state) > LARGEST:
            raise TooLarge(f"The state takes {len(state)} bytes; allowed are {LARGEST}.")
        _check(state)
        digest = hashlib.sha256(state).hexdigest()
        try:
            with self._lock:
                os.makedirs(self._folder, exist_ok=True)
                # Two states have the same short name only if a client searched for such a pair.
                names = (digest[:16], digest)
                name = next((n for n in names if self._read(n) in (None, state)), None)
                if name is None:
                    raise DatabaseError(f"{self._path(digest)} is not the state that it was.")
                if self._read(name) is None:
                    self._make_room(len(state))
                    self._write(name, state)
                else:
                    self._touch(name)
        except OSError as error:
            raise DatabaseError(f"{self._folder} cannot be used: {error.strerror}.") from error
        return name

    def get(self, name: str) -> bytes:
        """Return a state by its name.

        Raises
        ------
        Absent
            There is no state with this name.
        """
        state = self._read(name) if _NAME.fullmatch(name) else None
        if state is None:
            raise Absent(f"There is no state {name}.")
        self._touch(name)
        return state

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, name)

    def _read(self, name: str) -> bytes | None:
        try:
            with open(self._path(name), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def _touch(self, name: str) -> None:
        """Record the use of a state, since most disks do not record every access themselves."""
        with suppress(OSError):
            if time.time() - _used(os.stat(self._path(name))) > TOUCHED:
                os.utime(self._path(name))

    def _write(self, name: str, state: bytes) -> None:
        descriptor, path = tempfile.mkstemp(dir=self._folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(state)
                file.flush()
                os.fsync(file.fileno())
            os.replace(path, self._path(name))
        except BaseException:
            with suppress(OSError):
                os.unlink(path)
            raise
        assert self._count
        self._count.add(len(state))

    def _make_room(self, size: int) -> None:
        """Remove the least recently used states if there is no room for so many bytes.

        Raises
        ------
        TooLarge
            All states were used in the last `UNUSED` seconds.
        """
        count = self._count
        if count is None or self._has_grown(count):
            count = self._count = _Count.of(self._folder)
        if self._fits(count, size):
            return
        if count.is_old():
            count = self._count = _Count.of(self._folder)
        while not self._fits(count, size) and self._remove_oldest(count):
            pass
        lately = f"and all were used in the last {UNUSED / 86_400:.0f} days"
        if count.number >= self._most_states:
            raise TooLarge(
                f"There are {count.number} states, {lately}; allowed are {self._most_states}."
            )
        if not self._fits(count, size):
            raise TooLarge(
                f"The states take {count.size} bytes, {lately}; allowed are {self._most}."
            )

    def _fits(self, count: _Count, size: int) -> bool:
        return count.size + size <= self._most and count.number < self._most_states

    def _has_grown(self, count: _Count) -> bool:
        number, size = count.added
        return number > self._most_states // SHARE or size > self._most // SHARE

    def _remove_oldest(self, count: _Count) -> bool:
        """Remove the least recently used state; return whether there was one to remove."""
        while count.oldest:
            used, size, name = count.oldest.pop()
            if time.time() - used < UNUSED:
                count.oldest.clear()
                break
            # This process or another may have used it since.
            with suppress(OSError):
                if time.time() - _used(os.stat(self._path(name))) >= UNUSED:
                    os.unlink(self._path(name))
                    log.info("The state %s, not used for long, makes room for another", name)
                    count.number, count.size = count.number - 1, count.size - size
                    return True
        return False


@dataclass
class _Count:
    """States counted in a folder, and those added since.

    Attributes
    ----------
    number, size : int
        The number of states, and their bytes.
    oldest : list
        Time of last use, bytes and name of each state, the oldest last.
    added : tuple of int
        The number of states added since, and their bytes.
    """

    number: int
    size: int
    oldest: list[tuple[float, int, str]]
    added: tuple[int, int] = (0, 0)
    time: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, folder: str) -> _Count:
        """Count the states in a folder, and remove abandoned temporary files."""
        states = []
        with os.scandir(folder) as entries:
            for entry in entries:
                with suppress(OSError):
                    status = entry.stat()
                    if _NAME.fullmatch(entry.name):
                        states.append((_used(status), status.st_size, entry.name))
                    elif entry.name.startswith("tmp") and time.time() - status.st_mtime > 3600:
                        os.unlink(entry.path)
        states.sort(reverse=True)
        return cls(len(states), sum(size for _, size, _ in states), states)

    def add(self, size: int) -> None:
        """Count a new state."""
        self.number, self.size = self.number + 1, self.size + size
        self.added = self.added[0] + 1, self.added[1] + size

    def is_old(self) -> bool:
        """Return whether other processes may have removed states since."""
        return time.monotonic() - self.time > RECOUNT


def _used(status: os.stat_result) -> float:
    return max(status.st_atime, status.st_mtime)


def _check(state: bytes) -> None:
    try:
        fits = isinstance(json.loads(state.decode(), parse_constant=_no_number), dict)
    except (ValueError, RecursionError):
        fits = False
    if not fits:
        raise BadRequest("The state is not a JSON object.")


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")
