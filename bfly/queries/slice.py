"""Requests for pictures of sections in any of the three planes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from bfly.queries.data import DataQuery

if TYPE_CHECKING:
    import numpy as np

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["PLANES", "SliceQuery"]

PLANES = {"xy": (0, 1, 2), "xz": (1, 0, 2), "yz": (2, 0, 1)}
"""From a plane to the axes (of z, y, x) that a picture of it counts: section, row, column."""


class SliceQuery(DataQuery):
    """A request for sections in a plane.

    Parameters
    ----------
    plane : {"xy", "xz", "yz"}
        A section in xz has a row for each z, one in yz a row for each z and a column for
        each y.
    **keywords
        Those of `DataQuery`.
    """

    def __init__(self, plane: str = "xy", **keywords: Any) -> None:
        super().__init__(**keywords)
        self.plane = plane
        self.axes = PLANES[plane]
        self.plain = plane == "xy"

    @override
    def arranged(self, voxels: Voxels) -> Voxels:
        """Give the voxels (z, y, x) as sections, rows and columns of the plane."""
        return voxels.transpose(self.axes)
