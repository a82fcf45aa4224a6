"""What any label index answers: the rows of labels, one by one or in groups."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from bfly.segments.posting import summed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bfly.segments.index import Index
    from bfly.segments.touched import Touched

    Ids = NDArray[np.uint64]

__all__ = ["Postings"]


class Postings(ABC):
    """A label index: that of the stored labels, or of those after patches.

    Attributes
    ----------
    stored : Index
        That of the stored labels, with the list of their sizes.
    changed : numpy.ndarray
        uint64, ascending: the labels of which something differs from `stored`.
    touched : Touched
        Where patches made the difference.
    """

    stored: Index
    changed: Ids
    touched: Touched

    @property
    @abstractmethod
    def last(self) -> int:
        """The largest stored label; 0 if there is none."""

    @abstractmethod
    def postings(self, labels: Ids) -> NDArray[np.void]:
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

    @abstractmethod
    def parts(self) -> Iterator[NDArray[np.void]]:
        """Yield all postings in ascending order of the labels, those of a label together.

        Returns
        -------
        iterator of numpy.ndarray
            `POSTING`.
        """

    @abstractmethod
    def version(self, labels: Ids) -> str:
        """Return a text that differs whenever a patch may have changed the voxels of some labels.

        That is so at any mip: a coarse voxel is the most frequent of finer ones. It is "" for
        labels that are as they are stored.
        """

    @abstractmethod
    def growth(self, labels: Ids) -> NDArray[np.int64]:
        """Return how many more voxels each label has than in `stored`; negative if fewer."""

    def of(self, labels: Ids) -> NDArray[np.void]:
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

    def of_groups(self, labels: Ids, groups: Ids) -> NDArray[np.void]:
        """Return one row for each group of labels, in ascending order.

        Parameters
        ----------
        labels : numpy.ndarray
            uint64. A label may be in several groups, in each of them once.
        groups : numpy.ndarray
            uint64, the group of each label.

        Returns
        -------
        numpy.ndarray
            `POSTING` with the group as its label. Groups without a voxel have no row.
        """
        rows = self.of(labels)
        if not len(rows):
            return rows
        places = np.minimum(np.searchsorted(rows["label"], labels), len(rows) - 1)
        hit = np.flatnonzero(rows["label"][places] == labels)
        order = hit[np.argsort(groups[hit], kind="stable")]
        return summed(rows[places[order]], groups[order])
