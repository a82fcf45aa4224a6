"""Which root ids each operation made and replaced."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bfly.edits.columns import Columns, grown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    Numbers = NDArray[np.uint32]

    from bfly.edits.operation import Operation

__all__ = ["Lineage", "replaced"]


FEW = 16
"""Pairs of an operation that are looked at one by one."""


class Lineage:
    """The numbers of root ids by operation, from the first one of the log.

    An operation has consecutive numbers for the segments that it made. A number is replaced once.
    """

    KINDS: ClassVar[dict[str, str]] = {
        **{"made": "<u4", "counts": "<u4"},
        **{"replaced": "<u4", "into": "<u4"},
    }
    """Arrays of a lineage: how many numbers each operation made, and how many pairs it has of a
    number that it replaced and the place among those that it made."""

    def __init__(self) -> None:
        self.count = 0
        # Row k is that of the operation k: its first number, and where its replaced ones begin.
        self._rows: Columns = {"first": np.ones(2, np.uint32), "start": np.zeros(2, np.uint32)}
        self._replaced: Columns = {
            "number": np.zeros(0, np.uint32),
            "into": np.zeros(0, np.uint32),
        }
        self._by: Columns = {"operation": np.zeros(1, np.uint32)}

    @classmethod
    def of(cls, arrays: Mapping[str, Any]) -> Lineage:
        """Return the lineage of what `arrays` returned."""
        lineage = cls()
        lineage._extend(*(arrays[name] for name in cls.KINDS))
        return lineage

    def arrays(self, until: int) -> dict[str, Any]:
        """Return the first operations, up to one of them, as arrays of `KINDS`."""
        made, counts = (np.diff(self._rows[name][1 : until + 2]) for name in ("first", "start"))
        stop = int(self._rows["start"][until + 1])
        replaced, into = (self._replaced[name][:stop] for name in ("number", "into"))
        return {"made": made, "counts": counts, "replaced": replaced, "into": into}

    def last(self, until: int) -> int:
        """Return the last number that the first operations made, up to one of them."""
        return int(self._rows["first"][until + 1]) - 1

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, with the space reserved for growth."""
        groups = (self._rows, self._replaced, self._by)
        return sum(column.nbytes for group in groups for column in group.values())

    def add(self, operations: Sequence[Operation]) -> None:
        """Add the operations that follow the last one."""
        self._extend(
            np.array([operation.numbers for operation in operations], np.uint32),
            np.array([len(operation.before) for operation in operations], np.uint32),
            np.concatenate([operation.before for operation in operations]),
            np.concatenate([operation.into for operation in operations]),
        )

    def _extend(self, made: Numbers, counts: Numbers, before: Numbers, into: Numbers) -> None:
        first, after = self.count + 1, self.count + 1 + len(made)
        self._rows = grown(self._rows, first + 1, after + 1)
        rows = self._rows
        rows["first"][first + 1 : after + 1] = rows["first"][first] + np.cumsum(made)
        rows["start"][first + 1 : after + 1] = rows["start"][first] + np.cumsum(counts)
        start, stop = int(rows["start"][first]), int(rows["start"][after])
        self._replaced = grown(self._replaced, start, stop)
        self._replaced["number"][start:stop], self._replaced["into"][start:stop] = before, into
        numbers = int(rows["first"][after])
        self._by = grown(self._by, int(rows["first"][first]), numbers)
        self._by["operation"][before] = np.repeat(np.arange(first, after), counts)
        self.count = after - 1

    def made_by(self, number: int) -> int:
        """Return the operation that made a number; 0 if none did."""
        # Elements of a memoryview are read faster than those of an array.
        firsts = self._rows["first"].data
        if not 0 < number < firsts[self.count + 1]:
            return 0
        return bisect_right(firsts, number, 1, self.count + 2) - 1

    def made(self, operation: int) -> range:
        """Return the numbers that an operation made."""
        first = self._rows["first"]
        return range(int(first[operation]), int(first[operation + 1]))

    def _pairs(self, operation: int) -> tuple[Numbers, Numbers]:
        start, stop = self._rows["start"][operation : operation + 2].tolist()
        return self._replaced["number"][start:stop], self._replaced["into"][start:stop]

    def replaced(self, operation: int) -> list[int]:
        """Return the numbers that an operation replaced."""
        numbers: list[int] = np.unique(self._pairs(operation)[0]).tolist()
        return numbers

    def replaced_by(self, number: int) -> int:
        """Return the operation that replaced a number; 0 if it is of a segment of today."""
        return int(self._by["operation"][number])

    def _before(self, number: int) -> list[int]:
        """Return the numbers that went into a number."""
        operation = self.made_by(number)
        if not operation:
            return []
        start, stop = self._rows["start"].data[operation : operation + 2]
        place = number - self._rows["first"].data[operation]
        if stop - start <= FEW:
            numbers, into = (self._replaced[name].data for name in ("number", "into"))
            return [numbers[row] for row in range(start, stop) if into[row] == place]
        many: list[int] = self._replaced["number"][start:stop][
            self._replaced["into"][start:stop] == place
        ].tolist()
        return many

    def _after(self, number: int) -> list[int]:
        """Return the numbers that a number went into."""
        operation = self.replaced_by(number)
        if not operation:
            return []
        numbers, into = self._pairs(operation)
        made = (into[numbers == number].astype(np.int64) + self.made(operation).start).tolist()
        return list(made)

    def operations_of(self, numbers: Iterable[int]) -> list[int]:
        """Return the operations that led to some numbers, in ascending order.

        Parameters
        ----------
        numbers : iterable of int
            The numbers; 0 is that of an unedited segment.
        """
        return self._makers(_reached(numbers, self._before))

    def _makers(self, numbers: set[int]) -> list[int]:
        """Return the operations that made numbers, in ascending order."""
        found = np.fromiter(numbers, np.int64, len(numbers))
        firsts = self._rows["first"][1 : self.count + 2]
        found = found[found < firsts[-1]]
        makers: list[int] = np.unique(np.searchsorted(firsts, found, side="right")).tolist()
        return makers

    def descendants(self, numbers: Iterable[int]) -> set[int]:
        """Return some numbers and all that followed from them."""
        return _reached(numbers, self._after)

    def later(self, numbers: Iterable[int]) -> list[int]:
        """Return the operations that followed from some numbers, in ascending order."""
        found = self.descendants(numbers)
        return sorted({self.replaced_by(number) for number in found} - {0})


def replaced(numbers: NDArray[np.uint64], into: NDArray[np.int64]) -> tuple[Numbers, Numbers]:
    """Return `Operation.before` and `Operation.into`.

    Parameters
    ----------
    numbers, into : numpy.ndarray
        The number of a supervoxel's segment, 0 if it is unedited, and the place of what it goes
        into; pairs may repeat.
    """
    pairs = np.unique(np.stack([numbers.astype(np.int64), into], axis=1)[numbers > 0], axis=0)
    return pairs[:, 0].astype(np.uint32), pairs[:, 1].astype(np.uint32)


def _reached(numbers: Iterable[int], step: Callable[[int], list[int]]) -> set[int]:
    """Return numbers, and all that are reached from them in steps."""
    left = [number for number in numbers if number]
    found = set(left)
    while left:
        for number in step(left.pop()):
            if number not in found:
                found.add(number)
                left.append(number)
    return found
