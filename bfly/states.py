"""States of viewers, kept as files under names that are made of what they hold."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import threading

from bfly.errors import Absent, BadRequest, DatabaseError, TooLarge

__all__ = ["LARGEST", "States"]

LARGEST = 1 << 20
"""Bytes of the largest state."""

MOST = 256 << 20
"""Bytes of all states together; after that none is taken, so that no link that was given dies."""

_NAME = re.compile("[0-9a-f]{16,64}")


class States:
    """Keeps states in a folder, which is made when the first one comes.

    Parameters
    ----------
    folder : str
        Several servers may share it.
    most : int
        How many bytes may lie there.
    """

    def __init__(self, folder: str, most: int = MOST) -> None:
        self._folder = folder
        self._most = most
        self._lock = threading.Lock()

    def keep(self, state: bytes) -> str:
        """Keep a state and give its name; the same bytes have the same name.

        Parameters
        ----------
        state : bytes
            A JSON object.

        Raises
        ------
        BadRequest
            It is none.
        TooLarge
            It is larger than `LARGEST`, or there is no room for more.
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
                # A short name is another state's only by somebody's great effort.
                name = next(
                    digest[:size] for size in (16, 64) if self._read(digest[:size]) in (None, state)
                )
                if self._read(name) is None:
                    self._write(name, state)
        except OSError as error:
            raise DatabaseError(f"{self._folder} cannot be used: {error.strerror}.") from error
        return name

    def get(self, name: str) -> bytes:
        """Give a state by its name.

        Raises
        ------
        Absent
            There is none.
        """
        state = self._read(name) if _NAME.fullmatch(name) else None
        if state is None:
            raise Absent(f"There is no state {name}.")
        return state

    def _read(self, name: str) -> bytes | None:
        try:
            with open(os.path.join(self._folder, name), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def _write(self, name: str, state: bytes) -> None:
        with os.scandir(self._folder) as entries:
            used = sum(entry.stat().st_size for entry in entries)
        if used + len(state) > self._most:
            raise TooLarge(f"The states take {used} bytes; allowed are {self._most}.")
        with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
            file.write(state)
            file.flush()
            os.fsync(file.fileno())
        os.replace(file.name, os.path.join(self._folder, name))


def _check(state: bytes) -> None:
    try:
        fits = isinstance(json.loads(state), dict)
    except (ValueError, RecursionError):
        fits = False
    if not fits:
        raise BadRequest("The state is not a JSON object.")
