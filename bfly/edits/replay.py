"""Replay of a log into segments, from its beginning or from a snapshot."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bfly.edits.forest import Forest
from bfly.edits.lineage import Lineage, replaced
from bfly.edits.recent import Recent
from bfly.edits.snapshots import read_snapshot
from bfly.edits.splits import Split
from bfly.edits.state import EditState
from bfly.edits.taken_back import TakenBack
from bfly.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bfly.edits.log import EditLog
    from bfly.edits.operation import Operation

__all__ = ["Replay"]

AT_ONCE = 1 << 20
"""Supervoxels after which a batch of operations is applied: fewer calls, bounded memory."""

REMEMBERED = 10_000
"""Keys of requests that are remembered."""

AGAIN = 1000
"""Operations before a snapshot whose keys are read."""

LATEST = 2**62
"""Greater than the number of any operation."""


class Replay:
    """A channel's log, applied operation by operation.

    Parameters
    ----------
    path : str
        Path of the channel.
    edit_log : EditLog
        Log to read.
    most : int
        Last operation to apply.

    Attributes
    ----------
    forest : Forest
        The segments.
    position : int
        Last operation that was applied.
    lineage : Lineage
        The root ids that each operation made and replaced.
    taken_back : TakenBack
        The operations that others took back.
    keys : dict
        Author and key of the latest operations → the operation.
    """

    def __init__(self, path: str, edit_log: EditLog, most: int = LATEST) -> None:
        self.forest = Forest()
        self.position = 0
        self._path, self._log, self._most = path, edit_log, most
        self._splits: dict[tuple[int, int], str] = {}
        self.lineage = Lineage()
        self.taken_back = TakenBack()
        self.keys: dict[tuple[str, str], int] = {}
        self._recent = Recent()
        self.snapshot = 0
        self._begin()
        self.read_on()

    def _begin(self) -> None:
        """Begin with a snapshot, if there is one."""
        operation, bodies = self._log.snapshot(self._path, self._most)
        snapshot = read_snapshot(operation, bodies)
        if snapshot is None:
            return
        self.snapshot = self.position = operation
        self.lineage, self.taken_back = snapshot.lineage, snapshot.taken_back
        self._splits = {Split.parse(text).key: text for text in snapshot.splits}
        self.forest.load(
            snapshot.ids,
            snapshot.sizes.astype(np.int64),
            snapshot.names,
            snapshot.segment_numbers.astype(np.uint64),
            operation,
        )
        self.forest.numbers = snapshot.numbers
        self._recent.skip(operation)
        # A request may come again after a start.
        for each in self._log.read(self._path, max(0, operation - AGAIN)):
            if each.id > operation:
                break
            self._remember(each)

    def read_on(self) -> None:
        """Read and apply the operations after `position`.

        Raises
        ------
        DatabaseError
            The log cannot be read, has a gap, or has an operation of a later Butterfly.
        """
        batch: list[Operation] = []
        size = 0
        for operation in self._log.read(self._path, self.position):
            if operation.id > self._most:
                break
            batch.append(operation)
            size += len(operation.supervoxels)
            if size > AT_ONCE:
                self.do(batch)
                batch, size = [], 0
        self.do(batch)

    def do(self, operations: Sequence[Operation]) -> None:
        """Apply operations that follow the last one."""
        for number, operation in enumerate(operations, self.position + 1):
            if operation.id != number:
                raise DatabaseError(f"The edit {number} of {self._path} is missing in the log.")
        run: list[Operation] = []
        for operation in operations:
            if len(operation.parts) or not operation.knows_before:
                self._apply(run)
                self._apply([operation])
                run = []
            else:
                run.append(operation)
        self._apply(run)

    def _apply(self, run: list[Operation]) -> None:
        """Apply operations that part nothing, or a single one."""
        if not run:
            return
        first, last = run[0], run[-1].id
        if not first.knows_before:
            # An early version did not keep it.
            owners = np.repeat(np.arange(len(first.sizes)), first.sizes)
            before, into = replaced(self.state().numbers(first.supervoxels), owners)
            run = [replace(first, before=before, into=into)]
        self.forest.part(first.parts, first.part_sizes, first.part_names, last)
        self._join(run)
        self.lineage.add(run)
        self._recent.add(run)
        for operation in run:
            self._remember(operation)
            if operation.undoes:
                self.taken_back.add(operation.id, operation.undoes)
        self.position = last

    def _join(self, operations: Sequence[Operation]) -> None:
        supervoxels, sizes, names = (
            np.concatenate([getattr(operation, name) for operation in operations])
            for name in ("supervoxels", "sizes", "names")
        )
        self.forest.join(supervoxels, sizes, names, operations[-1].id)
        for operation in operations:
            self._splits |= {Split.parse(text).key: text for text in operation.splits}

    def state(self) -> EditState:
        """Return the current state."""
        splits = tuple(self._splits.values())
        return EditState(self.forest, self.position, splits, self._recent)

    def _remember(self, operation: Operation) -> None:
        """Remember the key of an operation, and forget those of old ones."""
        if operation.key:
            self.keys.pop((operation.who, operation.key), None)
            self.keys[operation.who, operation.key] = operation.id
            if len(self.keys) > REMEMBERED:
                del self.keys[next(iter(self.keys))]
