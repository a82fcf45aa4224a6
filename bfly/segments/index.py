"""The label index of a channel: what is known of each label, looked up on disk."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bfly.errors import SourceError
from bfly.segments.posting import POSTING, summed
from bfly.segments.rows import RowFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

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

BLOCK = 1024
"""Postings of a block, whose first label is in memory: a look-up reads one or two blocks."""

BATCH = 64 * BLOCK
"""Postings that are read at once for many labels."""

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


class Index:
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
        self.folder = folder
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

    def postings(self, labels: NDArray[np.uint64]) -> NDArray[np.void]:
        """Return the postings of labels, sorted by label.

        Parameters
        ----------
        labels : numpy.ndarray
            uint64, in any order. Labels that do not occur have no postings.

        Returns
        -------
        numpy.ndarray
            `POSTING`.
        """
        labels = np.unique(labels)
        found = [np.empty(0, POSTING)]
        for start, stop in self._spans(labels):
            for first in range(start, stop, BATCH):
                rows = self._postings.read(first, min(first + BATCH, stop))
                places = np.searchsorted(labels, rows["label"])
                places[places == len(labels)] = 0
                found.append(rows[labels[places] == rows["label"]])
        return np.concatenate(found)

    def of(self, labels: NDArray[np.uint64]) -> NDArray[np.void]:
        """Return one row for each of the labels that occurs, in ascending order.

        Parameters
        ----------
        labels : numpy.ndarray
            uint64, in any order.

        Returns
        -------
        numpy.ndarray
            `POSTING`.
        """
        return summed(self.postings(labels))

    def of_groups(self, labels: NDArray[np.uint64], groups: NDArray[np.uint64]) -> NDArray[np.void]:
        """Return one row for each group of labels, in ascending order.

        Parameters
        ----------
        labels : numpy.ndarray
            uint64, each label once.
        groups : numpy.ndarray
            uint64, the group of each label.

        Returns
        -------
        numpy.ndarray
            `POSTING` with the group as its label. Groups without a voxel have no row.
        """
        rows = self.of(labels)
        by_label = np.argsort(labels)
        of_row = groups[by_label[np.searchsorted(labels, rows["label"], sorter=by_label)]]
        order = np.argsort(of_row, kind="stable")
        return summed(rows[order], of_row[order])

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

    def _spans(self, labels: NDArray[np.uint64]) -> Iterator[tuple[int, int]]:
        """Yield the ranges of rows that may have some of the sorted labels."""
        low = np.maximum(np.searchsorted(self._fences, labels, "left") - 1, 0)
        high = np.searchsorted(self._fences, labels, "right")
        start = stop = 0
        for first, last in zip((low * BLOCK).tolist(), (high * BLOCK).tolist(), strict=True):
            if first > stop:
                yield start, stop
                start = first
            stop = max(stop, last)
        yield start, min(stop, len(self._postings))
