"""Operations that others took back, and those that were done again."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
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
        """Add an operation that takes back others. Those that they took back are there again."""
        self._undoes[operation] = tuple(undoes)
        for other in self._undoes[operation]:
            self._undoers.setdefault(other, []).append(operation)
        # What takes back an operation comes after it, so the latest are settled first.
        left = [-other for other in self._undoes[operation]]
        heapify(left)
        while left:
            other = -heappop(left)
            was_there = other not in self.by
            takers = [each for each in self._undoers[other] if each not in self.by]
            if takers:
                self.by[other] = takers[-1]
            else:
                self.by.pop(other, None)
            if was_there == bool(takers):
                for again in self._undoes.get(other, ()):
                    heappush(left, -again)

    def until(self, operation: int) -> TakenBack:
        """Return what operations up to a given one took back."""
        earlier = TakenBack()
        # Another thread may add meanwhile.
        known = list(self._undoes.items())
        for number, undoes in sorted(known):
            if number <= operation:
                earlier.add(number, undoes)
        return earlier

    def counts(self, operation: int, taken: Container[int] = ()) -> bool:
        """Return whether an operation counts: nothing that counts has taken it back.

        Parameters
        ----------
        operation : int
            The operation.
        taken : container of int
            Operations that do not count in any case.
        """
        known: dict[int, bool] = {}
        left = [operation]
        while left:
            undoers = self._undoers.get(left[-1], ()) if left[-1] not in taken else ()
            unknown = [each for each in undoers if each not in known]
            if unknown:
                left += unknown
                continue
            one = left.pop()
            known[one] = one not in taken and not any(known[each] for each in undoers)
        return known[operation]

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
