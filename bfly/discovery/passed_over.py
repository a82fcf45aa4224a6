"""Files that a scan passes over, by their kind, with an example of each."""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

__all__ = ["Kind", "PassedOver"]

SHOWN = 10
"""Kinds that are named; all others are counted together."""

ENDING = re.compile(r"\.([a-z0-9_+-]{1,12})$")

NUMBERS = re.compile(r"\.?\d+$")


class Kind(NamedTuple):
    """Files of one ending.

    Parameters
    ----------
    name : str
        ``of .xml``, ``without an ending``, ``named by numbers``.
    number : int
        Number of files.
    example : str
        Name of one of them.
    """

    name: str
    number: int
    example: str

    def __str__(self) -> str:
        more = " …" if self.number > 1 else ""
        return f"{self.number:,} {self.name} ({self.example}{more})"


class PassedOver:
    """Counter of files that look like no channel."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    def add(self, name: str) -> None:
        """Count a file by its name."""
        kind = _kind_of(name)
        self._counts[kind] += 1
        self._examples.setdefault(kind, name)

    def kinds(self) -> tuple[Kind, ...]:
        """Return the kinds, the most frequent first; beyond `SHOWN`, all others as one."""
        ranked = sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))
        kinds = [Kind(name, count, self._examples[name]) for name, count in ranked]
        if len(kinds) <= SHOWN:
            return tuple(kinds)
        others = kinds[SHOWN - 1 :]
        total = sum(kind.number for kind in others)
        last = Kind(f"of {len(others)} other kinds", total, others[0].example)
        return (*kinds[: SHOWN - 1], last)


def _kind_of(name: str) -> str:
    lower = name.lower()
    if NUMBERS.search(lower):
        return "named by numbers"
    found = ENDING.search(lower)
    return f"of .{found[1]}" if found else "without an ending"
