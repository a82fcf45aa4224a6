"""Answers that are made while they are sent, since they may not fit into memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Part = bytes | memoryview

__all__ = ["Stream"]


@dataclass(frozen=True, kw_only=True)
class Stream:
    """An answer that is made again for every request.

    Voxels and rows have no ETag, since that needs the whole answer.

    Parameters
    ----------
    parts : callable
        Takes a byte offset, and returns the answer from there, part by part. A part may be
        overwritten when the next one is made.
    media_type : str
        For ``Content-Type``.
    size : int, optional
        Bytes of the whole answer, if known in advance; only then are ranges supported.
    group : str
        Group of work that it counts to (see `Admission`): its channel, as a rule.
    etag : bytes
        Its ETag, if it is a file; b"" for none.
    part : callable, optional
        Takes a start and a stop in bytes, and returns that part of a file: fewer bytes, or none,
        at its end. It is for ranges of a file of unknown size.
    headers : sequence of (bytes, bytes)
        Further headers of the answer.
    cuts : set of int, optional
        Where ranges may start and stop, if the file follows edits: a range that was meant for
        another state of it is then not answered with other bytes.
    """

    parts: Callable[[int], Iterator[Part]]
    media_type: str
    size: int | None = None
    group: str = ""
    etag: bytes = b""
    part: Callable[[int, int], bytes] | None = None
    headers: Sequence[tuple[bytes, bytes]] = ()
    cuts: frozenset[int] | None = None
