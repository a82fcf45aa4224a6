"""Snapshots: all segments after an operation, so that a start does not read the whole log."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bfly.edits.lineage import Lineage
from bfly.edits.merge_table import operations_of
from bfly.edits.operation import Operation
from bfly.edits.packing import header_of, packed, unpacked
from bfly.edits.taken_back import TakenBack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from bfly.edits.state import EditState

__all__ = ["Snapshot", "parts_of", "read_snapshot"]

HEAD = {**Lineage.KINDS, "taken": "<u4", "patches": "<u4"}
"""Arrays of the first part."""


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
    parts : list of Operation
        The segments; `before` has the number of each list.
    patches : numpy.ndarray
        uint32: the operations that made patches. The log has them.
    """

    lineage: Lineage
    taken_back: TakenBack
    numbers: int
    parts: list[Operation]
    patches: NDArray[np.uint32]


def parts_of(
    state: EditState, lineage: Lineage, taken_back: TakenBack, patches: Iterable[int]
) -> Iterator[bytes]:
    """Yield the parts of a snapshot; `patches` are all operations that made some."""
    taken = np.array([*taken_back.pairs(state.position)], np.uint32)
    made = np.array([number for number in patches if number <= state.position], np.uint32)
    arrays = {**lineage.arrays(state.position), "taken": taken, "patches": made}
    yield packed(HEAD, arrays, {"snapshot": 2, "numbers": lineage.last(state.position)})
    none = np.empty(0, np.uint64)
    table = state.table()
    for part in operations_of(*table, none, state.position, splits=state.splits):
        heads = np.cumsum(part.sizes) - part.sizes
        numbers = state.numbers(part.supervoxels[heads])
        yield Operation(**{**vars(part), "before": numbers}).pack()


def read_snapshot(operation: int, parts: Iterable[bytes]) -> Snapshot | None:
    """Return a snapshot; None if there is none, or only one of a version without root ids.

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
    if "snapshot" not in header_of(head, what):
        return None
    arrays, words = unpacked(HEAD, head, what)
    taken_back = TakenBack()
    for by, pairs in groupby(arrays["taken"].reshape(-1, 2).tolist(), lambda pair: pair[0]):
        taken_back.add(by, [other for _, other in pairs])
    found = [Operation.unpack(body, id=operation, kind="import") for body in bodies]
    lineage, numbers = Lineage.of(arrays), words["numbers"]
    return Snapshot(lineage, taken_back, numbers, found, arrays["patches"])
