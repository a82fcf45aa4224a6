"""Which root ids each operation of a branch made and replaced, after those of where it began."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from bfly.edits.lineage import Lineage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bfly.edits.operation import Operation

__all__ = ["BranchLineage"]


class BranchLineage(Lineage):
    """The lineage of a branch: that of its beginning, and then its own.

    The numbers go on from the last one before the branch.

    Parameters
    ----------
    base : Lineage
        The lineage of what the branch comes from, which may go on.
    origin : int
        The last operation that both have.
    """

    def __init__(self, base: Lineage, origin: int) -> None:
        super().__init__()
        self._base, self._origin = base, origin
        self.count = origin
        # The first number of each own operation, and of the one after the last.
        self._firsts = [base.last(origin) + 1]
        self._own: list[tuple[Any, Any]] = []
        self._replacing: dict[int, int] = {}

    @override
    def last(self, until: int) -> int:
        if until <= self._origin:
            return self._base.last(until)
        return self._firsts[until - self._origin] - 1

    @override
    def add(self, operations: Sequence[Operation]) -> None:
        for operation in operations:
            self.count += 1
            self._firsts.append(self._firsts[-1] + operation.numbers)
            self._own.append((operation.before, operation.into))
            self._replacing |= dict.fromkeys(operation.before.tolist(), self.count)

    @override
    def made_by(self, number: int) -> int:
        if number < self._firsts[0]:
            return self._base.made_by(number)
        if number >= self._firsts[-1]:
            return 0
        return self._origin + bisect_right(self._firsts, number)

    @override
    def made(self, operation: int) -> range:
        if operation <= self._origin:
            return self._base.made(operation)
        place = operation - self._origin
        return range(self._firsts[place - 1], self._firsts[place])

    @override
    def _pairs(self, operation: int) -> tuple[Any, Any]:
        if operation <= self._origin:
            return self._base._pairs(operation)
        return self._own[operation - self._origin - 1]

    @override
    def _before(self, number: int) -> list[int]:
        if number < self._firsts[0]:
            return self._base._before(number)
        operation = self.made_by(number)
        if not operation:
            return []
        numbers, into = self._pairs(operation)
        before: list[int] = numbers[into == number - self.made(operation).start].tolist()
        return before

    @override
    def _makers(self, numbers: set[int]) -> list[int]:
        return sorted({self.made_by(number) for number in numbers} - {0})

    @override
    def replaced_by(self, number: int) -> int:
        if number in self._replacing:
            return self._replacing[number]
        if number >= self._firsts[0]:
            return 0
        before = self._base.replaced_by(number)
        return before if before <= self._origin else 0
