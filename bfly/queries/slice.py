"""Requests for sections in any of the three planes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from bfly.queries.data import DataQuery

if TYPE_CHECKING:
    import numpy as np

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["PLANES", "SliceQuery"]

PLANES = {"xy": (0, 1, 2), "xz": (1, 0, 2), "yz": (2, 0, 1)}
"""Axes of the voxels (0 to 2: z, y, x) that become sections, rows and columns in a plane."""


class SliceQuery(DataQuery):
    """A request for sections in a plane.

    Parameters
    ----------
    plane : {"xy", "xz", "yz"}
        A section in xz has a row for each z. One in yz also has a column for each y.
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
        """Return the voxels (z, y, x) as sections, rows and columns of the plane."""
        return voxels.transpose(self.axes)
