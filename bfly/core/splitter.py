"""Requests to split a segment by two groups of points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.edits.cut import cut
from bfly.edits.patch import cut_inside
from bfly.splitting.min_cut import SINK, SOURCE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from bfly.core.split_points import PointSplit, Sides
    from bfly.edits.channel import ChannelEdits
    from bfly.edits.operation import Operation
    from bfly.edits.patch import Fresh
    from bfly.edits.state import EditState

__all__ = ["Splitter", "points_of"]

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
    """

    def __init__(self, finder: PointSplit, asked: Mapping[str, Any], start: int = 0) -> None:
        self._finder, self._start = finder, start
        self._groups = [points_of(asked[name]) for name in ("sources", "sinks")]

    def found(self, state: EditState, channel: ChannelEdits) -> Sides:
        """Return the side of each supervoxel of the segment; raises as `PointSplit.sides`."""
        sources, sinks = self._groups
        return self._finder.sides(state, channel.history, sources, sinks, self._start)

    def preview(self, channel: ChannelEdits) -> dict[str, Any]:
        """Return the parts as supervoxels, as text; raises as `PointSplit.sides`."""
        found = self.found(channel.state, channel)
        inside = found.inside
        pieces = [
            {
                "supervoxel": str(one),
                "side": "sources" if inside.side == SOURCE else "sinks",
                "voxels": int(np.count_nonzero(inside.mask & (inside.labels == one))),
            }
            for one in (inside.old.tolist() if inside else ())
            if inside
        ]
        sides = (found.members[found.sides == side].tolist() for side in (SOURCE, SINK))
        sources, sinks = (list(map(str, side)) for side in sides)
        area = found.area / SQUARE_MICROMETRE
        return {
            "operation": channel.state.position,
            "sources": sources,
            "sinks": sinks,
            "area_um2": area,
            "inside": pieces,
        }

    def plan(
        self, channel: ChannelEdits, fresh: int, ids: Callable[[], Fresh]
    ) -> Callable[..., Operation]:
        """Return a function from a state, and the fields of an operation, to the operation.

        The parts are found before, so that no other writer waits, and again if the segment has
        changed meanwhile. For the errors see `PointSplit.sides`.

        Parameters
        ----------
        channel : ChannelEdits
            The channel.
        fresh : int
            An id that nothing has; see `cut`.
        ids : callable
            Returns the ids for pieces of supervoxels.
        """
        early = channel.state
        found = self.found(early, channel)
        one, new = found.members[:1], ids() if found.inside else None

        def planned(state: EditState, **words: Any) -> Operation:
            is_same = np.array_equal(state.numbers(one), early.numbers(one))
            now = found if is_same else self.found(state, channel)
            words["points"] = now.points
            if (inside := now.inside) is not None:
                part = now.members[now.sides == inside.side]
                local = inside.box.relative_to(self._finder.origin)
                found_in = (local, inside.labels, inside.mask)
                return cut_inside(state, channel.history, *found_in, part, new or ids(), **words)
            part = now.members[now.sides == SOURCE]
            return cut(state, channel.history, [part], fresh, **words)

        return planned


def points_of(points: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """Return points as an array (z, y, x), from a list of points [x, y, z]."""
    return np.array(points, np.float64)[:, ::-1]
