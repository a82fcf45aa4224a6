"""The log of a branch: that of what it comes from, up to where it began, and then its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from typing_extensions import override

from bfly.edits.log import EditLog

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from bfly.edits.operation import Operation

__all__ = ["BranchLog"]


class BranchLog(EditLog):
    """A log that goes on from another one. The names of channels in calls do not count.

    Own operations are numbered from `origin` + 1, but stored from 1, as each log is.

    Parameters
    ----------
    log, key : EditLog, str
        Where the own operations are.
    base, base_key : EditLog, str
        Where those before are.
    origin : int
        The last operation before.
    """

    def __init__(self, log: EditLog, key: str, base: EditLog, base_key: str, origin: int) -> None:
        self._log, self._key = log, key
        self._base, self._base_key, self._origin = base, base_key, origin

    @override
    def writing(self) -> AbstractContextManager[None]:
        return self._log.writing()

    @override
    def append(self, channel: str, operation: Operation) -> None:
        self._log.append(self._key, replace(operation, id=operation.id - self._origin))

    @override
    def read(self, channel: str, after: int = 0) -> Iterator[Operation]:
        if after < self._origin:
            for operation in self._base.read(self._base_key, after):
                if operation.id > self._origin:
                    break
                yield operation
        for operation in self._log.read(self._key, max(0, after - self._origin)):
            yield self._numbered(operation)

    @override
    def get(self, channel: str, numbers: Sequence[int]) -> Iterator[Operation]:
        before = [number for number in numbers if number <= self._origin]
        if before:
            yield from self._base.get(self._base_key, before)
        own = [number - self._origin for number in numbers[len(before) :]]
        if own:
            yield from map(self._numbered, self._log.get(self._key, own))

    def _numbered(self, operation: Operation) -> Operation:
        return replace(operation, id=operation.id + self._origin)

    @override
    def last(self, channel: str) -> int:
        return self._origin + self._log.last(self._key)

    @override
    def snapshot(self, channel: str, most: int) -> tuple[int, Iterable[bytes]]:
        return 0, ()

    @override
    def keep_snapshot(self, channel: str, operation: int, parts: Iterable[bytes]) -> None:
        """Do nothing: a branch is read from where it began."""

    @override
    def wait(self, seconds: float) -> None:
        self._log.wait(seconds)

    @override
    def close(self) -> None:
        """Do nothing: the log is that of all channels."""
