"""An operation of the log, and its form in a database.

The body is a zlib stream: the length of a header (4 bytes), the header as JSON, then the arrays one
after the other, little-endian. What later kinds need more, the header can say.
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
"""A merge of segments, a region of a supervoxel that is to be split, rows of a merge table."""

ARRAYS = {"supervoxels": "<u8", "sizes": "<u4", "names": "<u8", "was": "<u8", "points": "<i8"}


@dataclass(frozen=True, eq=False)
class Operation:
    """What somebody did to the segments of a channel.

    Attributes
    ----------
    id : int
        Its number in the channel's log: 1, 2, 3, …
    kind : str
        One of `KINDS`.
    who : str
        Whoever did it, as far as that is known.
    base : int
        The operation whose state whoever did it had seen.
    time : float
        Seconds since 1970, UTC.
    supervoxels : numpy.ndarray
        Lists of supervoxels (uint64), one after the other: each list became one segment.
        Of each merged segment one supervoxel stands for all.
    sizes : numpy.ndarray
        The length of each list.
    names : numpy.ndarray
        The name of the segment that each list became (uint64).
    was : numpy.ndarray
        The name of the segment that each of the supervoxels was in (uint64).
    points : numpy.ndarray
        Places in the volume that it is about, N × 3 (z, y, x; voxels of mip 0): of each split
        the first and the last voxel of its box.
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
        """Give the body: everything but id, time, who, kind and base."""
        arrays = [np.ascontiguousarray(getattr(self, n), kind) for n, kind in ARRAYS.items()]
        words = {"lengths": [array.size for array in arrays], "splits": self.splits}
        header = json.dumps(words).encode()
        parts = [len(header).to_bytes(4, "little"), header, *(a.tobytes() for a in arrays)]
        return isal_zlib.compress(b"".join(parts), 1)

    @classmethod
    def unpack(cls, body: bytes, **words: Any) -> Operation:
        """Read what `pack` wrote; the words are what it left out.

        Raises
        ------
        DatabaseError
            It is of a kind that a later Butterfly made, or damaged.
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
