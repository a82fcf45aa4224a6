"""Answers that are made while they are sent, since they may be larger than the memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Part = bytes | memoryview

__all__ = ["Stream"]


@dataclass(frozen=True, kw_only=True)
class Stream:
    """What is to be sent, which is made anew for every request.

    It has no ETag: that would take all of it.

    Parameters
    ----------
    parts : callable
        Begins to make it from a byte on, and returns it part by part. A part may be written over
        when the next one is made.
    media_type : str
        For ``Content-Type``.
    size : int, optional
        The bytes of all of it, where that is known before; only then can a range be had.
    group : str
        What it is counted to among all work (see `Admission`): its channel, as a rule.
    """

    parts: Callable[[int], Iterator[Part]]
    media_type: str
    size: int | None = None
    group: str = ""
