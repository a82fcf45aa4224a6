"""What the log of a channel says about segments: operations, patches, and what holds together."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np

from bfly.edits.edges import edges_of
from bfly.edits.patch_store import PatchStore
from bfly.errors import Absent

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from numpy.typing import NDArray

    from bfly.edits.edges import Edges
    from bfly.edits.lineage import Lineage
    from bfly.edits.log import EditLog
    from bfly.edits.operation import Operation
    from bfly.edits.patches import Patch, Patches
    from bfly.edits.replay import Replay
    from bfly.edits.state import EditState
    from bfly.edits.taken_back import TakenBack

    Ids = NDArray[np.uint64]
    Places = NDArray[np.int64]

__all__ = ["History"]

KEPT, KEPT_EACH = 64 << 20, 20
"""Bytes of the operations of a channel that are kept in memory, and for each edited supervoxel if
that is more: then those of an import are among them."""


class History:
    """What a channel's log says about segments.

    Parameters
    ----------
    path : str
        Path of the channel.
    edit_log : EditLog
        Log of the process.
    replay : Replay
        The log, applied.
    """

    def __init__(self, path: str, edit_log: EditLog, replay: Replay) -> None:
        self._path, self._log, self._replay = path, edit_log, replay
        self._kept: OrderedDict[int, Operation] = OrderedDict()
        self._bytes = 0
        self._reading = threading.Lock()

    @property
    def lineage(self) -> Lineage:
        """The root ids that each operation made and replaced."""
        return self._replay.lineage

    @property
    def taken_back(self) -> TakenBack:
        """The operations that others took back."""
        return self._replay.taken_back

    @property
    def undone(self) -> dict[int, int]:
        """Operation that is taken back → the operation that did so."""
        return self.taken_back.by

    def patches(self) -> list[Patch]:
        """Return all patches in their order, also those that are taken back."""
        return self._replay.patches.made()

    def patches_at(self, operation: int) -> Patches:
        """Return the patches that counted after an operation."""
        taken_back = self._replay.taken_back.until(operation)
        return PatchStore.of(self.patches(), operation, taken_back).view()

    def toggled(self, taken: set[int]) -> tuple[list[Patch], list[Patch]]:
        """Return the patches that do not count once operations are taken back, and that do again.

        Parameters
        ----------
        taken : set of int
            The operations.
        """
        leaving: list[Patch] = []
        returning: list[Patch] = []
        counts = self._replay.taken_back.counts
        reached = self._replay.taken_back.reached(taken)
        for patch in self._replay.patches.some(reached):
            if counts(patch.number) != counts(patch.number, taken):
                (leaving if counts(patch.number) else returning).append(patch)
        return leaving, returning

    def keyed(self, who: str, key: str) -> int:
        """Return the latest operation of an author with a key; 0 if none is remembered."""
        return self._replay.keys.get((who, key), 0)

    def all_keyed(self, key: str) -> list[Operation]:
        """Return the operations with a key that ends with the latest of them, of any authors."""
        found = [number for (_, other), number in self._replay.keys.items() if other == key]
        numbers = range(min(found, default=1), max(found, default=0) + 1)
        return [each for each in self.operations(numbers) if each.key == key]

    def is_last(self, operation: int) -> bool:
        """Return whether no later operation changed a segment that an operation made."""
        return not self.lineage.later(self.lineage.made(operation))

    def first_number(self, supervoxel: int) -> int:
        """Return the number of the first edited segment of a supervoxel; 0 if it is unedited.

        The operation that first changes a supervoxel names it.
        """
        one = np.array([supervoxel], np.uint64)
        led = self.lineage.operations_of(self._replay.state().numbers(one).tolist())
        for operation in self.operations(led):
            places = np.flatnonzero(operation.supervoxels == one)
            if len(places):
                ends = np.cumsum(operation.sizes, dtype=np.int64)
                owner = int(np.searchsorted(ends, places[-1], side="right"))
                return self.lineage.made(operation.id)[len(operation.part_names) + owner]
            rests = list(dict.fromkeys(operation.rests.tolist()))
            if supervoxel in rests:
                place = len(operation.part_sizes) + rests.index(supervoxel)
                return self.lineage.made(operation.id)[place]
        return 0

    def operations(self, numbers: Iterable[int]) -> list[Operation]:
        """Return operations by their numbers, in ascending order.

        Raises
        ------
        Absent
            There is no such operation.
        DatabaseError
            The log cannot be read.
        """
        wanted = sorted(set(numbers))
        last = self._replay.position
        if unknown := [number for number in wanted if not 0 < number <= last]:
            raise Absent(f"There is no operation {unknown[0]}; the last one is {last}.")
        with self._reading:
            kept = [number for number in wanted if number in self._kept]
            for number in kept:
                self._kept.move_to_end(number)
            lacking = [number for number in wanted if number not in self._kept]
            for operation in self._log.get(self._path, lacking):
                self._kept[operation.id] = operation
                self._bytes += operation.nbytes
            found = [self._kept[number] for number in wanted]
            most = max(KEPT, KEPT_EACH * self._replay.forest.count)
            while self._bytes > most and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return found

    def edges(self, members: Ids, numbers: Iterable[int], taken: Container[int] = ()) -> Edges:
        """Return the edges between supervoxels; raises as `operations`.

        Parameters
        ----------
        members : numpy.ndarray
            uint64, sorted: the supervoxels.
        numbers : iterable of int
            Numbers of their segments.
        taken : container of int
            Operations to take back besides; see `TakenBack.counts`.
        """
        led = self.operations(self.lineage.operations_of(numbers))
        edges = edges_of(members, self.that_count(led, taken))
        return edges.and_ever(led)

    def that_count(
        self, operations: Iterable[Operation], taken: Container[int] = ()
    ) -> list[Operation]:
        """Return the operations that count, but for those that take back others."""
        counts = self._replay.taken_back.counts
        return [each for each in operations if not each.undoes and counts(each.id, taken)]

    def segment(self, state: EditState, supervoxel: int) -> Edges:
        """Return the segment of a supervoxel, and its edges; raises as `operations`."""
        numbers = state.numbers(np.array([supervoxel], np.uint64)).tolist()
        return self.edges(state.segment_of(supervoxel), numbers)
