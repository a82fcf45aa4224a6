"""Search for segments: by the first digits of an id, or among given ids."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bfly.tables.columns import among

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ids = NDArray[np.uint64]

__all__ = ["Wanted"]

HIGHEST = 2**64 - 1


class Wanted(NamedTuple):
    """The segments that a search asks for.

    Parameters
    ----------
    ranges : tuple of (int, int)
        Lowest and highest id of each range, both of it.
    ids : numpy.ndarray
        uint64, further ids in ascending order.
    """

    ranges: tuple[tuple[int, int], ...]
    ids: Ids

    @classmethod
    def of(cls, text: str, ids: Ids) -> Wanted:
        """Return the ids that begin with a text, and others.

        Parameters
        ----------
        text : str
            Digits; any other text begins no id.
        ids : numpy.ndarray
            uint64, further ids in any order.
        """
        ranges = []
        if re.fullmatch("[1-9][0-9]{0,19}", text):
            # 12 begins 12, 120 to 129, 1200 to 1299 and so on.
            for power in (10**digits for digits in range(20)):
                low = int(text) * power
                if low <= HIGHEST:
                    ranges.append((low, min(low + power - 1, HIGHEST)))
        return cls(tuple(ranges), np.unique(ids))

    def has(self, ids: Ids) -> NDArray[np.bool_]:
        """Return whether each of some ids is wanted."""
        hit = np.zeros(len(ids), bool)
        for low, high in self.ranges:
            hit |= (ids >= np.uint64(low)) & (ids <= np.uint64(high))
        found: NDArray[np.bool_] = hit | among(ids, self.ids)
        return found
