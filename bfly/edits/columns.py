"""Columns of equal length that grow."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["Columns", "grown"]

Columns = dict[str, np.ndarray[Any, np.dtype[Any]]]

SMALLEST = 1024
"""Rows that the first columns have room for."""

LARGE = 1 << 20
"""Rows above which columns grow by a quarter: doubling would waste hundreds of megabytes."""


def grown(columns: Columns, count: int, needed: int) -> Columns:
    """Return columns with room for the needed rows; much longer ones if they have to grow.

    The first `count` rows are kept. A reader may go on with the old columns.
    """
    room = len(next(iter(columns.values())))
    if needed <= room:
        return columns
    more = room * 2 if room < LARGE else room + room // 4
    longer = {
        name: np.zeros(max(SMALLEST, needed, more), column.dtype)
        for name, column in columns.items()
    }
    for name, column in columns.items():
        longer[name][:count] = column[:count]
    return longer
