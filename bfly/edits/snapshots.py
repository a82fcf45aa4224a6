"""Snapshots: all segments after an operation, so that a start does not read the whole log."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bfly.edits.lineage import Lineage
from bfly.edits.packing import Arrays, header_of, packed, unpacked
from bfly.edits.taken_back import TakenBack
from bfly.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from bfly.edits.state import EditState

    Ids = NDArray[np.uint64]

__all__ = ["Snapshot", "parts_of", "read_snapshot"]

VERSION = 3

HEAD = {**Lineage.KINDS, "taken": "<u4", "patches": "<u4"}
"""Arrays of the first part."""

PART = {
    **{"ids": "<u4", "high_ids": "<u4", "names": "<u4", "high_names": "<u4"},
    **{"sizes": "<u4", "numbers": "<u4"},
}
"""Arrays of the other parts: see `Snapshot`. Of ids and names there are the lower halves, and the
higher ones unless all of a part are 0."""

ROWS = 1 << 17
"""Supervoxels or segments of a part: other writers wait while a part is written."""


class Snapshot(NamedTuple):
    """What a snapshot has.

    Parameters
    ----------
    lineage : Lineage
        The root ids.
    taken_back : TakenBack
        The operations that others took back.
    numbers : int
        The last number of a root id.
    patches : numpy.ndarray
        uint32: the operations that made patches. The log has them.
    splits : tuple of str
        As in documented messages.
    ids : numpy.ndarray
        uint64: the supervoxels of each segment, one segment after the other.
    sizes, names, segment_numbers : numpy.ndarray
        uint32, uint64 and uint32: how many supervoxels each segment has, its name, and the number
        of its root id, which ascends.
    """

    lineage: Lineage
    taken_back: TakenBack
    numbers: int
    patches: NDArray[np.uint32]
    splits: tuple[str, ...]
    ids: Ids
    sizes: NDArray[np.uint32]
    names: Ids
    segment_numbers: NDArray[np.uint32]


def parts_of(
    state: EditState, lineage: Lineage, taken_back: TakenBack, patches: Iterable[int]
) -> Iterator[bytes]:
    """Yield the parts of a snapshot; `patches` are all operations that made some."""
    taken = np.array([*taken_back.pairs(state.position)], np.uint32)
    made = np.array([number for number in patches if number <= state.position], np.uint32)
    arrays = {**lineage.arrays(state.position), "taken": taken, "patches": made}
    numbers = lineage.last(state.position)
    words = {"snapshot": VERSION, "numbers": numbers, "splits": state.splits}
    yield packed(HEAD, arrays, words)
    ids, names = state.table()
    of = state.numbers(ids)
    order = np.argsort(of, kind="stable")
    ids, names, of = ids[order], names[order], of[order]
    other = (of[1:] != of[:-1]) | (names[1:] != names[:-1])
    starts = np.flatnonzero(np.append(True, other)[: len(of)])
    columns = {
        "ids": ids,
        "sizes": np.diff(starts, append=len(of)),
        "names": names[starts],
        "numbers": of[starts],
    }
    for start in range(0, len(ids), ROWS):
        part = {name: each[start : start + ROWS] for name, each in columns.items()}
        for name in ("ids", "names"):
            part[f"high_{name}"] = part[name] >> np.uint64(32)
            if not part[f"high_{name}"].any():
                part[f"high_{name}"] = part[name][:0]
            part[name] = part[name] & np.uint64(2**32 - 1)
        yield packed(PART, part, {}, level=0)


def read_snapshot(operation: int, parts: Iterable[bytes]) -> Snapshot | None:
    """Return a snapshot; None if there is none, or only one of an earlier version.

    Raises
    ------
    DatabaseError
        It is damaged.
    """
    bodies = iter(parts)
    head = next(bodies, None)
    if head is None:
        return None
    what = f"The snapshot of the edits up to {operation}"
    if header_of(head, what).get("snapshot") != VERSION:
        return None
    arrays, words = unpacked(HEAD, head, what)
    taken_back = TakenBack()
    for by, pairs in groupby(arrays["taken"].reshape(-1, 2).tolist(), lambda pair: pair[0]):
        taken_back.add(by, [other for _, other in pairs])
    found = [unpacked(PART, body, what)[0] for body in bodies]
    whole = {
        name: np.concatenate([np.empty(0, kind), *(part[name] for part in found)])
        for name, kind in (("sizes", np.uint32), ("numbers", np.uint32))
    }
    ids, names = _wide(found, "ids"), _wide(found, "names")
    if len({len(names), *map(len, whole.values())}) > 1 or whole["sizes"].sum() != len(ids):
        raise DatabaseError(f"{what} is damaged: its columns differ in length.")
    return Snapshot(
        Lineage.of(arrays),
        taken_back,
        words["numbers"],
        arrays["patches"],
        tuple(words["splits"]),
        ids=ids,
        sizes=whole["sizes"],
        names=names,
        segment_numbers=whole["numbers"],
    )


def _wide(parts: list[Arrays], name: str) -> Ids:
    """Return a column of 64 bits."""
    wide = np.concatenate([np.empty(0, np.uint64), *(part[name] for part in parts)])
    start = 0
    for part in parts:
        stop = start + len(part[name])
        if len(part[f"high_{name}"]) == stop - start:
            wide[start:stop] |= part[f"high_{name}"].astype(np.uint64) << np.uint64(32)
        start = stop
    return wide
