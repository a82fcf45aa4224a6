"""Operations that others took back, and those that were done again."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

__all__ = ["TakenBack"]


class TakenBack:
    """What the operations of a channel took back.

    Attributes
    ----------
    by : dict
        Operation that is taken back → the operation that did so.
    """

    def __init__(self) -> None:
        self.by: dict[int, int] = {}
        self._undoes: dict[int, tuple[int, ...]] = {}
        self._undoers: dict[int, list[int]] = {}

    def add(self, operation: int, undoes: Iterable[int]) -> None:
        """Add an operation that takes back others."""
        self._undoes[operation] = tuple(undoes)
        for other in self._undoes[operation]:
            self._undoers.setdefault(other, []).append(operation)
        self._take(operation)

    def _take(self, operation: int) -> None:
        """Let an operation take back others. Those that they took back are there again."""
        for other in self._undoes[operation]:
            self.by[other] = operation
            for again in self._undoes.get(other, ()):
                del self.by[again]
                if again in self._undoes:
                    self._take(again)

    def counts(self, operation: int, taken: Container[int] = ()) -> bool:
        """Return whether an operation counts: nothing that counts has taken it back.

        Parameters
        ----------
        operation : int
            The operation.
        taken : container of int
            Operations that do not count in any case.
        """
        undoers = self._undoers.get(operation, ())
        return operation not in taken and not any(self.counts(each, taken) for each in undoers)

    def reached(self, operations: Iterable[int]) -> set[int]:
        """Return operations, what they took back, what that had taken back, and so on."""
        left = list(operations)
        found = set(left)
        while left:
            more = set(self._undoes.get(left.pop(), ())) - found
            found |= more
            left += more
        return found

    def pairs(self, until: int) -> Iterator[tuple[int, int]]:
        """Yield an operation up to a given one, and one that it took back, in their order."""
        for operation, undoes in self._undoes.items():
            if operation <= until:
                yield from ((operation, other) for other in undoes)
