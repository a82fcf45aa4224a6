"""Replay of a log into segments, from its beginning or from a snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bfly.edits.forest import Forest
from bfly.edits.operation import Operation
from bfly.edits.splits import Split
from bfly.edits.state import EditState
from bfly.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bfly.edits.log import EditLog

__all__ = ["Replay"]

AT_ONCE = 1 << 20
"""Supervoxels after which a batch of operations is applied: fewer calls, bounded memory."""

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
    """

    def __init__(self, path: str, edit_log: EditLog, most: int = LATEST) -> None:
        self.forest = Forest()
        self.position = 0
        self._path, self._log, self._most = path, edit_log, most
        self._splits: dict[tuple[int, int], str] = {}
        self.snapshot, parts = edit_log.snapshot(path, most)
        words = {"id": self.snapshot, "kind": "import"}
        self._join([Operation.unpack(body, **words) for body in parts])
        self.read_on()

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
        self._join(operations)

    def _join(self, operations: Sequence[Operation]) -> None:
        if not operations:
            return
        last = operations[-1].id
        supervoxels, sizes, names = (
            np.concatenate([getattr(operation, name) for operation in operations])
            for name in ("supervoxels", "sizes", "names")
        )
        self.forest.join(supervoxels, sizes, names, last)
        for operation in operations:
            self._splits |= {Split.parse(text).key: text for text in operation.splits}
        self.position = last

    def state(self) -> EditState:
        """Return the current state."""
        return EditState(self.forest, self.position, tuple(self._splits.values()))
