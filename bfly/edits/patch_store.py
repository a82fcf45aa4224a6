"""The patches that the operations of a channel made, and which of them count."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from bfly.edits.patches import Patch, Patches

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bfly.edits.operation import Operation
    from bfly.edits.taken_back import TakenBack

__all__ = ["PatchStore"]


class PatchStore:
    """Patches as of the latest operation. Thread-safe."""

    def __init__(self) -> None:
        self._made: dict[int, Patch] = {}
        self._counting: set[int] = set()
        self._view: Patches | None = Patches()
        self._added: list[Patch] = []
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes of all patches, about."""
        return sum(patch.nbytes for patch in self.made())

    def made(self) -> list[Patch]:
        """Return all patches in their order, also those that do not count."""
        with self._lock:
            return list(self._made.values())

    def some(self, operations: Iterable[int]) -> list[Patch]:
        """Return the patches of some operations; those without a patch are left out."""
        with self._lock:
            return [self._made[each] for each in operations if each in self._made]

    def follow(self, operation: Operation, taken_back: TakenBack) -> None:
        """Add the patch of an operation, or leave out those that it took back."""
        number = operation.id
        if not len(operation.runs) and not (operation.undoes and self._made):
            return
        with self._lock:
            if len(operation.runs):
                patch = self._made[number] = Patch.of(operation)
                self._added.append(patch)
                self._counting.add(number)
                if taken_back.counts(number):
                    return
            changed = taken_back.reached([number, *operation.undoes]) & self._made.keys()
            self._counting -= changed
            self._counting.update(filter(taken_back.counts, changed))
            if changed:
                self._view = None

    def view(self) -> Patches:
        """Return the patches that count now, in the order of their operations."""
        with self._lock:
            if self._view is not None:
                if self._added:
                    self._view = self._view.plus(self._added)
            else:
                counting = [patch for n, patch in self._made.items() if n in self._counting]
                others = [patch for n, patch in self._made.items() if n not in self._counting]
                self._view = Patches(counting, others)
            self._added = []
            return self._view
