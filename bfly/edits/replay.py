"""Replay of a log into segments, from its beginning or from a snapshot."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bfly.edits.forest import Forest
from bfly.edits.lineage import Lineage, replaced
from bfly.edits.marks import Mark, Marks
from bfly.edits.patch_store import PatchStore
from bfly.edits.recent import Recent
from bfly.edits.snapshots import read_snapshot
from bfly.edits.splits import keyed
from bfly.edits.state import EditState
from bfly.edits.taken_back import TakenBack
from bfly.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bfly.edits.log import EditLog
    from bfly.edits.operation import Operation

__all__ = ["LATEST", "Replay"]

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
    stops : iterable of int
        Operations whose states are wanted later: see `past`.

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
    patches : PatchStore
        The patches that operations made.
    keys : dict
        Author and key of the latest operations → the operation.
    """

    def __init__(
        self, path: str, edit_log: EditLog, most: int = LATEST, stops: Iterable[int] = ()
    ) -> None:
        self.forest = Forest()
        self.position = 0
        self._path, self._log, self._most = path, edit_log, most
        self._stops = frozenset(stops)
        self._marks = Marks()
        self._splits: dict[tuple[int, int], str] = {}
        self._told: tuple[str, ...] = ()
        self.lineage = Lineage()
        self.taken_back = TakenBack()
        self.patches = PatchStore()
        self.keys: dict[tuple[str, str], int] = {}
        self._recent = Recent()
        self.snapshot = 0
        self._begin()
        self._mark()
        self.read_on()

    def _begin(self) -> None:
        """Begin with a snapshot, if there is one."""
        operation, bodies = self._log.snapshot(self._path, self._most)
        snapshot = read_snapshot(operation, bodies)
        if snapshot is None:
            return
        self.snapshot = self.position = operation
        self.lineage, self.taken_back = snapshot.lineage, snapshot.taken_back
        self._splits = keyed(snapshot.splits)
        self._told = tuple(self._splits.values())
        self.forest.load(
            snapshot.ids,
            snapshot.sizes.astype(np.int64),
            snapshot.names,
            snapshot.segment_numbers.astype(np.uint64),
            operation,
        )
        self.forest.numbers = snapshot.numbers
        self._recent.skip(operation)
        for each in self._log.get(self._path, snapshot.patches.tolist()):
            self.patches.follow(each, self.taken_back)
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
            if len(operation.parts) or len(operation.adopts) or not operation.knows_before:
                self._apply(run)
                self._apply([operation])
                run = []
            else:
                run.append(operation)
                if operation.id in self._stops:
                    self._apply(run)
                    run = []
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
        self.forest.adopt(first.adopts[:, 0], first.adopts[:, 1], last)
        self.forest.part(first.parts, first.part_sizes, first.part_names, last)
        self._join(run)
        self.lineage.add(run)
        self._recent.add(run)
        for operation in run:
            self._remember(operation)
            if operation.undoes:
                self.taken_back.add(operation.id, operation.undoes)
            self.patches.follow(operation, self.taken_back)
        self.position = last
        self._mark()

    def _mark(self) -> None:
        self._marks.add(self._here())

    def _here(self) -> Mark:
        forest = self.forest
        return Mark(self.position, forest.count, forest.numbers, self._told, self.patches.view())

    def _join(self, operations: Sequence[Operation]) -> None:
        supervoxels, sizes, names = (
            np.concatenate([getattr(operation, name) for operation in operations])
            for name in ("supervoxels", "sizes", "names")
        )
        self.forest.join(supervoxels, sizes, names, operations[-1].id)
        for operation in operations:
            if operation.splits:
                self._splits |= keyed(operation.splits)
                self._told = tuple(self._splits.values())

    def state(self) -> EditState:
        """Return the current state."""
        return self._of(self._here())

    def past(self, position: int) -> EditState | None:
        """Return the state after an operation if the forest has it, or else None.

        It has those after operations that were appended since the log was read, after operations
        that part segments, and after those that were said to be wanted.
        """
        mark = self._marks.get(position)
        return self._of(mark) if mark else None

    def _of(self, mark: Mark) -> EditState:
        return EditState(
            self.forest,
            mark.position,
            mark.splits,
            mark.patches,
            mark.places,
            mark.numbers,
            self._recent,
        )

    def _remember(self, operation: Operation) -> None:
        """Remember the key of an operation, and forget those of old ones."""
        if operation.key:
            self.keys.pop((operation.who, operation.key), None)
            self.keys[operation.who, operation.key] = operation.id
            if len(self.keys) > REMEMBERED:
                del self.keys[next(iter(self.keys))]
