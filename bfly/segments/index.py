"""The label index of a channel: what is known of each label, looked up on disk."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from typing_extensions import override

from bfly.errors import SourceError
from bfly.segments.merging import by_key
from bfly.segments.posting import POSTING, label_keys
from bfly.segments.postings import Postings
from bfly.segments.rows import RowFile
from bfly.segments.touched import Touched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bfly.segments.search import Wanted

__all__ = [
    "ABOUT",
    "BLOCK",
    "FENCE",
    "FENCES",
    "POSTINGS",
    "SIZE",
    "SIZES",
    "Index",
    "Summary",
]

BLOCK = 128
"""Postings of a block, whose first label is in memory: a look-up reads one or two blocks."""

BATCH = 1 << 16
"""Postings that are read at once for many labels."""

MOST_SEARCHED = 256 * BLOCK
"""Postings that a search reads at most, 13 MB, before it takes the list of sizes instead."""

SIZE = np.dtype([("voxels", "<u8"), ("label", "<u8")])
"""A label and its size, in descending order of the sizes."""

FENCE = np.dtype("<u8")

POSTINGS, FENCES, SIZES, ABOUT = "postings", "fences", "sizes", "about.json"
"""Files of an index."""


@dataclass(frozen=True)
class Summary:
    """The numbers of an index, as its file `ABOUT` has them.

    Parameters
    ----------
    labels, postings, voxels : int
        Labels other than 0, their pairs with cells, and their voxels.
    """

    labels: int
    postings: int
    voxels: int


class Index(Postings):
    """A whole index, read from its folder; safe to use from any thread.

    The memory is 8 bytes for each `BLOCK` postings.

    Parameters
    ----------
    folder : str
        As `write_index` wrote it.

    Raises
    ------
    SourceError
        A file is missing or damaged.
    """

    def __init__(self, folder: str) -> None:
        self.folder, self.stored = folder, self
        self.changed, self.touched = np.empty(0, np.uint64), Touched()
        path = os.path.join(folder, ABOUT)
        try:
            with open(path, "rb") as file:
                self.summary = Summary(**json.load(file))
        except (OSError, ValueError, TypeError) as error:
            raise SourceError(f"{path} cannot be read: {error}") from error
        self._postings = RowFile(os.path.join(folder, POSTINGS), POSTING)
        self._sizes = RowFile(os.path.join(folder, SIZES), SIZE)
        fences = RowFile(os.path.join(folder, FENCES), FENCE)
        self._fences: NDArray[np.uint64] = fences.read(0, len(fences))
        found = len(self._postings), len(self._sizes)
        if found != (self.summary.postings, self.summary.labels):
            raise SourceError(f"{folder} is damaged: it has {found} rows, not {self.summary}.")

    @property
    @override
    def last(self) -> int:
        count = len(self._postings)
        return int(self._postings.read(count - 1, count)["label"][0]) if count else 0

    @override
    def postings(self, labels: NDArray[np.uint64]) -> NDArray[np.void]:
        labels = np.unique(labels)
        found = [np.empty(0, POSTING)]
        for starts, stops in _batches(*self._spans(labels)):
            rows = self._postings.read_spans(starts, stops)
            own = np.ascontiguousarray(rows["label"])
            if len(labels) == 1:
                found.append(rows[own == labels[0]])
                continue
            near = labels[np.searchsorted(labels, own[0]) : np.searchsorted(labels, own[-1]) + 1]
            first, last = (np.searchsorted(own, near, side) for side in ("left", "right"))
            found.append(rows[_ranges(first, last)])
        return np.concatenate(found)

    @override
    def parts(self) -> Iterator[NDArray[np.void]]:
        rows = len(self._postings)
        read = (self._postings.read(at, at + BATCH) for at in range(0, rows, BATCH))
        return by_key(read, label_keys)

    @override
    def version(self, labels: NDArray[np.uint64]) -> str:
        return ""

    @override
    def growth(self, labels: NDArray[np.uint64]) -> NDArray[np.int64]:
        return np.zeros(len(labels), np.int64)

    def among(self, wanted: Wanted) -> NDArray[np.void] | None:
        """Return one row for each label that is wanted, in ascending order.

        Parameters
        ----------
        wanted : Wanted
            What is searched.

        Returns
        -------
        numpy.ndarray or None
            `POSTING`. None if more than `MOST_SEARCHED` postings would be read.
        """
        spans = [self._span(low, high) for low, high in wanted.ranges]
        count = sum(stop - start for start, stop in spans) + BLOCK * len(wanted.ids)
        if count > MOST_SEARCHED:
            return None
        parts = [self._postings.read(start, stop)["label"] for start, stop in spans]
        labels = np.concatenate([wanted.ids, *parts])
        return self.of(labels[wanted.has(labels)])

    def _span(self, low: int, high: int) -> tuple[int, int]:
        """Return the range of rows that may have labels from `low` to `high`, whole blocks."""
        first = max(int(np.searchsorted(self._fences, np.uint64(low), "left")) - 1, 0)
        last = int(np.searchsorted(self._fences, np.uint64(high), "right"))
        return first * BLOCK, max(first * BLOCK, min(last * BLOCK, len(self._postings)))

    def largest(self, start: int, stop: int) -> NDArray[np.void]:
        """Return labels by their size, the largest first.

        Parameters
        ----------
        start, stop : int
            Places in that order.

        Returns
        -------
        numpy.ndarray
            `SIZE`.
        """
        return self._sizes.read(start, stop)

    def _spans(self, labels: NDArray[np.uint64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return where the spans of rows start and stop that may have some of the sorted labels."""
        low = np.maximum(np.searchsorted(self._fences, labels, "left") - 1, 0)
        high = np.searchsorted(self._fences, labels, "right")
        low, high = low[low < high], high[low < high]
        # Spans that meet are one. Both arrays ascend.
        is_first = np.concatenate(([True], low[1:] > high[:-1]))[: len(low)]
        is_last = np.concatenate((is_first[1:], [True]))[: len(low)]
        stops = np.minimum(high[is_last] * BLOCK, len(self._postings))
        return low[is_first] * BLOCK, stops


def _batches(
    starts: NDArray[np.intp], stops: NDArray[np.intp]
) -> Iterator[tuple[list[int], list[int]]]:
    """Yield spans in batches of about `BATCH` rows; long ones are cut."""
    first: list[int] = []
    last: list[int] = []
    count = 0
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        for at in range(start, stop, BATCH):
            first.append(at)
            last.append(min(at + BATCH, stop))
            count += last[-1] - at
            if count >= BATCH:
                yield first, last
                first, last, count = [], [], 0
    if first:
        yield first, last


def _ranges(first: NDArray[np.intp], last: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the numbers of all ranges, one range behind the other."""
    counts = last - first
    ends = np.cumsum(counts)
    places: NDArray[np.intp] = np.arange(counts.sum()) + np.repeat(first - ends + counts, counts)
    return places
