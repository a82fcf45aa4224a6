"""Exponential back-off after failures."""

from __future__ import annotations

import threading
from math import inf
from time import monotonic

__all__ = ["Pause"]

FIRST, LONGEST = 10.0, 600.0
"""Seconds before the first retry, and the maximum after each further failure doubles them. Retries
are rare because each one costs a write, and a full disk needs an operator."""


class Pause:
    """Exponential back-off after failures; safe to use from any thread."""

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
        """Whether an attempt is due."""
        return monotonic() >= self._until

    def failed(self) -> bool:
        """Record a failure; return whether it is the first after a success.

        Failures of attempts that started before the pause do not extend it.
        """
        with self._lock:
            first = not self._seconds
            if self.over:
                self._seconds = min(LONGEST, max(FIRST, 2 * self._seconds))
                self._until = monotonic() + self._seconds
            return first

    def worked(self) -> bool:
        """Record a success; return whether it is the first after a failure."""
        if not self._seconds:
            return False
        with self._lock:
            self._seconds, self._until = 0.0, -inf
        return True
