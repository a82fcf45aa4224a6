"""Requests to split a segment by two groups of points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.edits.cut import cut
from bfly.errors import BadRequest
from bfly.splitting.min_cut import SINK, SOURCE
from bfly.validation import real_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from bfly.core.split_points import PointSplit, Sides
    from bfly.edits.channel import ChannelEdits
    from bfly.edits.operation import Operation
    from bfly.edits.state import EditState

__all__ = ["Splitter", "points_of"]

MOST = 1000
"""Points of a group."""

SQUARE_MICROMETRE = 1e6
"""Square nanometres."""


class Splitter:
    """A request to split.

    Parameters
    ----------
    finder : PointSplit
        Finds the parts.
    asked : mapping
        ``sources`` and ``sinks``, each a list of points [x, y, z] in voxels of mip 0.
    start : int
        A supervoxel of the segment; 0 for the one at the first source.

    Raises
    ------
    BadRequest
        A group is not such a list.
    """

    def __init__(self, finder: PointSplit, asked: Mapping[str, Any], start: int = 0) -> None:
        self._finder, self._start = finder, start
        self._groups = [points_of(name, asked.get(name)) for name in ("sources", "sinks")]

    def found(self, state: EditState, channel: ChannelEdits) -> Sides:
        """Return the side of each supervoxel of the segment; raises as `PointSplit.sides`."""
        sources, sinks = self._groups
        return self._finder.sides(state, channel.history, sources, sinks, self._start)

    def preview(self, channel: ChannelEdits) -> dict[str, Any]:
        """Return the parts as supervoxels, as text; raises as `PointSplit.sides`."""
        found = self.found(channel.state, channel)
        sides = (found.members[found.sides == side].tolist() for side in (SOURCE, SINK))
        sources, sinks = (list(map(str, side)) for side in sides)
        area = found.area / SQUARE_MICROMETRE
        return {
            "operation": channel.state.position,
            "sources": sources,
            "sinks": sinks,
            "area_um2": area,
        }

    def plan(self, channel: ChannelEdits, fresh: int) -> Callable[..., Operation]:
        """Return a function from a state, and the fields of an operation, to the operation.

        The parts are found before, so that no other writer waits, and again if the segment has
        changed meanwhile. For the errors see `PointSplit.sides`.

        Parameters
        ----------
        channel : ChannelEdits
            The channel.
        fresh : int
            An id that nothing has; see `cut`.
        """
        early = channel.state
        found = self.found(early, channel)
        one = found.members[:1]

        def planned(state: EditState, **words: Any) -> Operation:
            is_same = np.array_equal(state.numbers(one), early.numbers(one))
            now = found if is_same else self.found(state, channel)
            part = now.members[now.sides == SOURCE]
            return cut(state, channel.history, [part], fresh, points=now.points, **words)

        return planned


def points_of(name: str, value: Any) -> NDArray[np.float64]:
    """Return points (z, y, x) from the list of points [x, y, z] that a client sent.

    Raises
    ------
    BadRequest
        It is not such a list.
    """
    if not isinstance(value, list) or not 0 < len(value) <= MOST:
        raise BadRequest(
            f"{name} is not a list of 1 to {MOST} points [x, y, z], in voxels of mip 0."
        )
    for point in value:
        if not isinstance(point, list) or len(point) != 3:
            raise BadRequest(f"The point {point} of {name} is not [x, y, z], in voxels of mip 0.")
    numbers = [[real_number(name, each) for each in point] for point in value]
    return np.array(numbers, np.float64)[:, ::-1]
