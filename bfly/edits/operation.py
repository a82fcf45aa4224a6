"""An operation of the log, and its form in a database.

The body is a zlib stream: the length of a header (4 bytes), the header as JSON, then the arrays
one after the other, little-endian. Later kinds can add fields to the header.
"""

from __future__ import annotations

import json
import time
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from isal import isal_zlib

from bfly.errors import DatabaseError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ids = NDArray[np.uint64]

__all__ = ["KINDS", "Operation"]

KINDS = ("merge", "split", "import")
"""A merge of segments, a requested split of a supervoxel, rows of a merge table."""

ARRAYS = {"supervoxels": "<u8", "sizes": "<u4", "names": "<u8", "was": "<u8", "points": "<i8"}


@dataclass(frozen=True, eq=False)
class Operation:
    """One change of the segments of a channel.

    Attributes
    ----------
    id : int
        Number in the channel's log: 1, 2, 3, …
    kind : str
        One of `KINDS`.
    who : str
        Name of the author; empty if unknown.
    base : int
        Operation whose state the author saw.
    time : float
        Seconds since 1970, UTC.
    supervoxels : numpy.ndarray
        Lists of supervoxels (uint64), one after the other: each list became one segment.
        One supervoxel represents all of a merged segment.
    sizes : numpy.ndarray
        Length of each list.
    names : numpy.ndarray
        Name of the segment that each list became (uint64).
    was : numpy.ndarray
        Name of the segment that each supervoxel was in (uint64).
    points : numpy.ndarray
        Positions in the volume, shape (n, 3), zyx in voxels of mip 0: the first and the last
        voxel of the box of each split.
    splits : tuple of str
        As in documented messages.
    """

    id: int
    kind: str
    who: str = ""
    base: int = 0
    time: float = field(default_factory=time.time)
    supervoxels: Ids = field(default_factory=lambda: np.empty(0, np.uint64))
    sizes: NDArray[np.uint32] = field(default_factory=lambda: np.empty(0, np.uint32))
    names: Ids = field(default_factory=lambda: np.empty(0, np.uint64))
    was: Ids = field(default_factory=lambda: np.empty(0, np.uint64))
    points: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 3), np.int64))
    splits: tuple[str, ...] = ()

    def pack(self) -> bytes:
        """Return the body: all but ``id``, ``time``, ``who``, ``kind``, ``base``."""
        arrays = [np.ascontiguousarray(getattr(self, n), kind) for n, kind in ARRAYS.items()]
        words = {"lengths": [array.size for array in arrays], "splits": self.splits}
        header = json.dumps(words).encode()
        parts = [len(header).to_bytes(4, "little"), header, *(a.tobytes() for a in arrays)]
        return isal_zlib.compress(b"".join(parts), 1)

    @classmethod
    def unpack(cls, body: bytes, **words: Any) -> Operation:
        """Read what `pack` wrote. The keywords are the fields that it left out.

        Raises
        ------
        DatabaseError
            The kind is that of a later Butterfly, or the body is damaged.
        """
        if words["kind"] not in KINDS:
            raise DatabaseError(
                f"The edit {words['id']} is of the kind {words['kind']}, which this Butterfly "
                f"does not know; it knows {list(KINDS)}."
            )
        try:
            data = zlib.decompress(body)
            start = 4 + int.from_bytes(data[:4], "little")
            header = json.loads(data[4:start])
            for (name, kind), length in zip(ARRAYS.items(), header["lengths"], strict=True):
                words[name] = np.frombuffer(data, kind, length, start)
                start += words[name].nbytes
        except (zlib.error, ValueError, KeyError) as error:
            raise DatabaseError(f"The edit {words['id']} is damaged: {error}") from error
        words["points"] = words["points"].reshape(-1, 3)
        return cls(**words, splits=tuple(header["splits"]))
