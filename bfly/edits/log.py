"""The contract of a log of edits, and a log in memory.

`bfly.testing.edits` is the contract as a test suite.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from bfly.edits.stored_edges import EdgeStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from bfly.edits.operation import Operation

__all__ = ["EditLog", "MemoryLog"]


class EditLog(ABC):
    """The operations of channels, numbered from 1 without a gap in each channel.

    All methods may be called from any thread. A channel is named by its path. A failure raises
    `DatabaseError`.
    """

    durable: ClassVar[bool] = True
    """Whether the log outlives the process, and other processes may share it."""

    @abstractmethod
    def writing(self) -> AbstractContextManager[None]:
        """Return a context manager for writing, which waits for the writers of all processes.

        On exit the appended operations are on disk, and visible to other processes. After an
        error none of them are kept.
        """

    @abstractmethod
    def append(self, channel: str, operation: Operation) -> None:
        """Write the next operation. Call it within `writing`."""

    @abstractmethod
    def read(self, channel: str, after: int = 0) -> Iterator[Operation]:
        """Yield the operations after a given one in order, with few in memory at once."""

    @abstractmethod
    def get(self, channel: str, numbers: Sequence[int]) -> Iterator[Operation]:
        """Yield the operations of these ascending numbers, with few in memory at once."""

    @abstractmethod
    def last(self, channel: str) -> int:
        """Return the number of the last operation; 0 if there is none."""

    @abstractmethod
    def snapshot(self, channel: str, most: int) -> tuple[int, Iterable[bytes]]:
        """Return the operation of the latest snapshot up to operation `most`, and its parts.

        The operation is 0, and there are no parts, if there is no snapshot.
        """

    @abstractmethod
    def keep_snapshot(self, channel: str, operation: int, parts: Iterable[bytes]) -> None:
        """Write the segments after an operation. An incomplete snapshot is never read.

        Other threads and processes may write between two parts.
        """

    @abstractmethod
    def wait(self, seconds: float) -> None:
        """Wait at most so long until a thread or process may have appended."""

    @abstractmethod
    def close(self) -> None:
        """Release what `wait` uses. A running `wait` returns soon, or raises."""


class MemoryLog(EditLog, EdgeStore):
    """A log in memory, which is lost when the process ends."""

    durable: ClassVar[bool] = False

    def __init__(self) -> None:
        self._operations: dict[str, list[Operation]] = {}
        self._edges: dict[str, list[tuple[int, bytes]]] = {}
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
    def get(self, channel: str, numbers: Sequence[int]) -> Iterator[Operation]:
        yield from (self._operations[channel][number - 1] for number in numbers)

    @override
    def last(self, channel: str) -> int:
        return len(self._operations.get(channel, []))

    @override
    def snapshot(self, channel: str, most: int) -> tuple[int, Iterable[bytes]]:
        return 0, ()

    @override
    def keep_snapshot(self, channel: str, operation: int, parts: Iterable[bytes]) -> None:
        """Do nothing: no process will start from the snapshot."""

    @override
    def wait(self, seconds: float) -> None:
        """Return at once: no other process can append."""

    @override
    def close(self) -> None:
        """Do nothing."""

    @override
    def edge_starts(self, channel: str) -> tuple[int, Sequence[int]]:
        parts = self._edges.get(channel, [])
        return int(bool(parts)), [start for start, _ in parts]

    @override
    def edge_parts(self, channel: str, edition: int, numbers: Sequence[int]) -> Iterator[bytes]:
        parts = self._edges.get(channel, [])
        yield from (parts[number][1] for number in numbers)

    @override
    def keep_edges(self, channel: str, parts: Iterable[tuple[int, bytes]]) -> None:
        self._edges[channel] = list(parts)
