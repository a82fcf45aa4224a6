"""When something that failed is tried again."""

from __future__ import annotations

import threading
from math import inf
from time import monotonic

__all__ = ["Pause"]

FIRST, LONGEST = 10.0, 600.0
"""Seconds until the first attempt after a failure, and at most after further failures have doubled
them: a full disk takes a person to mend it, and each attempt costs a write."""


class Pause:
    """Tells when to try again after failures; for any number of threads."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._until = -inf
        self._lock = threading.Lock()

    @property
    def failing(self) -> bool:
        """Whether the last attempt failed."""
        return self._seconds > 0

    @property
    def over(self) -> bool:
        """Whether it is time for an attempt."""
        return monotonic() >= self._until

    def failed(self) -> bool:
        """Note a failure; return whether it is the first after a success.

        Failures of attempts that began before the pause do not make it longer.
        """
        with self._lock:
            first = not self._seconds
            if self.over:
                self._seconds = min(LONGEST, max(FIRST, 2 * self._seconds))
                self._until = monotonic() + self._seconds
            return first

    def worked(self) -> bool:
        """Note a success; return whether it is the first after a failure."""
        if not self._seconds:
            return False
        with self._lock:
            self._seconds, self._until = 0.0, -inf
        return True
