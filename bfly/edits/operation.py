"""An operation of the log, and its form in a database."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.edits.packing import packed, unpacked
from bfly.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Ids = NDArray[np.uint64]

__all__ = ["KINDS", "Operation"]

KINDS = ("merge", "split", "import", "cut", "undo", "patch", "branch", "snapshot")
"""A merge of segments, a requested split of a supervoxel that changes no label, rows of a merge
table, a split of segments, what takes back operations, other supervoxels for some voxels, and what
names a line of operations, in a log of such names (`bfly.edits.lines`)."""

ARRAYS = {
    **{"supervoxels": "<u8", "sizes": "<u4", "names": "<u8", "was": "<u8", "points": "<i8"},
    **{"parts": "<u8", "part_sizes": "<u4", "part_names": "<u8", "rests": "<u8"},
    **{"edges": "<u8", "before": "<u4", "into": "<u4"},
    **{"facing": "<u8"},
    **{"box": "<i8", "pairs": "<u8", "runs": "<u1", "adopts": "<u8"},
}


def _empty(kind: type[np.generic], *row: int) -> Callable[[], Any]:
    return partial(np.empty, (0, *row), kind)


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
        Name of the segment that each supervoxel was in (uint64), and then each part.
    points : numpy.ndarray
        Positions in the volume, shape (n, 3), zyx in voxels of mip 0: those that the author set,
        or the first and the last voxel of the box of each split.
    splits : tuple of str
        As in documented messages.
    parts, part_sizes : numpy.ndarray
        Lists of supervoxels that left their segments before those above were merged, each as a
        segment of its own; all but one part of a segment are listed.
    part_names : numpy.ndarray
        Name of each of these segments, then of what was left of each parted segment, in the order
        in which the lists mention them.
    rests : numpy.ndarray
        For each part a supervoxel of what was left of its segment.
    facing : numpy.ndarray
        Pairs, shape (n, 2): one of `rests`, and a supervoxel of what was left of that segment, for
        all that an edge of any time joined to a part.
    edges : numpy.ndarray
        Pairs of supervoxels, shape (n, 2), that hold together what an edit left; the supervoxels
        of a list hold together in their order.
    before, into : numpy.ndarray
        Numbers of the root ids of the segments that the operation changed, but for unedited ones,
        each with the place in `part_names` and then `names` of what it went into (uint32).
    knows_before : bool
        Whether `before` is there. Early versions did not keep it.
    box : numpy.ndarray
        First voxel and end (z, y, x) of the box of a patch, int64, counted from the channel's first
        voxel at mip 0; empty if there is no patch.
    pairs, runs : numpy.ndarray
        What the patch changes; see `bfly.edits.patch_runs.packed_changes`.
    adopts : numpy.ndarray
        Pairs, shape (n, 2): before all else, the segment of the first supervoxel gets the second
        one, which the patch made.
    undoes : tuple of int
        Operations that this one took back.
    key : str
        A name that the client gave to its request, so that a repetition is recognized.
    line : tuple of str
        The name of a branch or a snapshot, and that of the line that `base` is an operation of.
    again : tuple of int
        The serial number of another line, and its operation that this one does again.
    """

    id: int
    kind: str
    who: str = ""
    base: int = 0
    time: float = field(default_factory=time.time)
    supervoxels: Ids = field(default_factory=_empty(np.uint64))
    sizes: NDArray[np.uint32] = field(default_factory=_empty(np.uint32))
    names: Ids = field(default_factory=_empty(np.uint64))
    was: Ids = field(default_factory=_empty(np.uint64))
    points: NDArray[np.int64] = field(default_factory=_empty(np.int64, 3))
    splits: tuple[str, ...] = ()
    parts: Ids = field(default_factory=_empty(np.uint64))
    part_sizes: NDArray[np.uint32] = field(default_factory=_empty(np.uint32))
    part_names: Ids = field(default_factory=_empty(np.uint64))
    rests: Ids = field(default_factory=_empty(np.uint64))
    facing: Ids = field(default_factory=_empty(np.uint64, 2))
    edges: Ids = field(default_factory=_empty(np.uint64, 2))
    before: NDArray[np.uint32] = field(default_factory=_empty(np.uint32))
    into: NDArray[np.uint32] = field(default_factory=_empty(np.uint32))
    knows_before: bool = False
    box: NDArray[np.int64] = field(default_factory=_empty(np.int64))
    pairs: Ids = field(default_factory=_empty(np.uint64, 2))
    runs: NDArray[np.uint8] = field(default_factory=_empty(np.uint8))
    adopts: Ids = field(default_factory=_empty(np.uint64, 2))
    undoes: tuple[int, ...] = ()
    key: str = ""
    line: tuple[str, ...] = ()
    again: tuple[int, ...] = ()

    @property
    def numbers(self) -> int:
        """How many numbers of root ids it takes: one for each segment that it made."""
        return len(self.part_names) + len(self.names)

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """The places of the supervoxels, by the order of these."""
        return np.argsort(self.supervoxels)

    @property
    def nbytes(self) -> int:
        """Bytes in memory, about."""
        order = 8 * len(self.supervoxels) if self.kind == "import" else 0
        return 1000 + order + int(sum(getattr(self, name).nbytes for name in ARRAYS))

    def pack(self) -> bytes:
        """Return the body: all but ``id``, ``time``, ``who``, ``kind``, ``base``."""
        names = ("splits", "undoes", "key", "knows_before")
        words = {name: getattr(self, name) for name in names}
        rare = ("line", "again")
        words |= {name: getattr(self, name) for name in rare if getattr(self, name)}
        return packed(ARRAYS, vars(self), words)

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
        arrays, header = unpacked(ARRAYS, body, f"The edit {words['id']}")
        arrays["points"] = arrays["points"].reshape(-1, 3)
        for name in ("edges", "facing", "pairs", "adopts"):
            arrays[name] = arrays[name].reshape(-1, 2)
        words |= arrays
        for name, value in header.items():
            words[name] = tuple(value) if isinstance(value, list) else value
        return cls(**words)
