"""The log of edits: its contract on one page, and the one that is forgotten.

`bfly.testing.edits` is the contract as a test suite.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager

    from bfly.edits.operation import Operation

__all__ = ["EditLog", "MemoryLog"]


class EditLog(ABC):
    """Keeps the operations of channels, each numbered from 1 without a gap.

    All methods may be called from any thread. A channel is named by its path. What fails
    raises `DatabaseError`.
    """

    durable: ClassVar[bool] = True
    """Whether it outlasts the program, and other programs may share it."""

    @abstractmethod
    def writing(self) -> AbstractContextManager[None]:
        """Begin to write: waits for other writers of any process.

        On leaving, what was appended is on disk, and then seen by others; after an error nothing
        of it is there.
        """

    @abstractmethod
    def append(self, channel: str, operation: Operation) -> None:
        """Write an operation that follows the last one; in `writing`."""

    @abstractmethod
    def read(self, channel: str, after: int = 0) -> Iterator[Operation]:
        """Give the operations after one, in their order, few in memory at once."""

    @abstractmethod
    def last(self, channel: str) -> int:
        """Give the number of the last operation; 0 if there is none."""

    @abstractmethod
    def snapshot(self, channel: str, most: int) -> tuple[int, Iterable[bytes]]:
        """Give the latest snapshot after an operation up to some number, and its parts.

        The operation is 0, without parts, if there is none.
        """

    @abstractmethod
    def keep_snapshot(self, channel: str, operation: int, parts: Iterable[bytes]) -> None:
        """Keep what the segments are after an operation; half a snapshot is none.

        Others may write between two parts.
        """

    @abstractmethod
    def wait(self, seconds: float) -> None:
        """Wait until somebody may have appended, in this process or another, at most so long."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what `wait` needs; it ends with an error, or soon."""


class MemoryLog(EditLog):
    """A log that is forgotten when the program ends."""

    durable: ClassVar[bool] = False

    def __init__(self) -> None:
        self._operations: dict[str, list[Operation]] = {}
        self._writing = threading.Lock()

    @override
    @contextmanager
    def writing(self) -> Iterator[None]:
        with self._writing:
            before = {channel: len(kept) for channel, kept in self._operations.items()}
            try:
                yield
            except BaseException:
                for channel, kept in self._operations.items():
                    del kept[before.get(channel, 0) :]
                raise

    @override
    def append(self, channel: str, operation: Operation) -> None:
        self._operations.setdefault(channel, []).append(operation)

    @override
    def read(self, channel: str, after: int = 0) -> Iterator[Operation]:
        yield from self._operations.get(channel, [])[after:]

    @override
    def last(self, channel: str) -> int:
        return len(self._operations.get(channel, []))

    @override
    def snapshot(self, channel: str, most: int) -> tuple[int, Iterable[bytes]]:
        return 0, ()

    @override
    def keep_snapshot(self, channel: str, operation: int, parts: Iterable[bytes]) -> None:
        """Do nothing: nobody will begin from it."""

    @override
    def wait(self, seconds: float) -> None:
        """Return at once: nobody else can append."""

    @override
    def close(self) -> None:
        """Do nothing."""
