"""Merges, splits, undo and redo that graphene clients ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.core.splitter import Splitter
from bfly.edits.merge import merged_at
from bfly.edits.repeats import Request
from bfly.edits.undo import redone, undone
from bfly.errors import BadRequest
from bfly.splitting.min_cut import SINK, SOURCE
from bfly.splitting.refusal import SplitRefused
from bfly.validation import real_number, whole_number

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bfly.core.graphene.graph import Graph
    from bfly.core.split_points import PointSplit
    from bfly.edits.operation import Operation
    from bfly.edits.patch import Fresh

    Ids = NDArray[np.uint64]
    Floats = NDArray[np.float64]

__all__ = ["Changes"]

MOST = 1000
"""Points of a request."""


class Changes:
    """Requests to edit a channel.

    Parameters
    ----------
    graph : Graph
        The segments of the channel.
    finder : PointSplit
        Finds supervoxels at points, and the parts of a segment.
    voxel_size : tuple of float
        Nanometres of a voxel of mip 0 (z, y, x).
    most, fresh : int
        The largest id that voxels can hold, and an id that no supervoxel has.
    new_ids : callable
        Returns ids for pieces of supervoxels.
    user : str
        Name of the author; no client but the page of Butterfly sends one.
    """

    def __init__(
        self,
        graph: Graph,
        finder: PointSplit,
        voxel_size: tuple[float, float, float],
        most: int,
        fresh: int,
        new_ids: Callable[[], Fresh],
        user: str = "",
    ) -> None:
        self._graph, self._finder = graph, finder
        self._size = np.array(voxel_size)
        self._most, self._fresh, self._new_ids = most, fresh, new_ids
        self._channel, self._user = graph.found.writable, user

    def merge(self, body: Any) -> dict[str, Any]:
        """Join the segments at two points ``[[id, x, y, z], [id, x, y, z]]``, in nanometres."""
        if not isinstance(body, list) or len(body) != 2:
            raise BadRequest("A merge takes two points [id, x, y, z], in nanometres.")
        nodes, points = self._nodes("the merge", body)
        ends = [self._supervoxel(node, point) for node, point in zip(nodes, points, strict=True)]
        places = np.floor(points).astype(np.int64)
        return self._done(
            "merge",
            body,
            lambda state, **words: merged_at(state, ends, places, **words),
        )

    def split(self, body: Any) -> dict[str, Any]:
        """Part the segment of ``{"sources": […], "sinks": […]}``, points as in `merge`."""
        splitter = self._splitter(body)
        plan = splitter.plan(self._channel, self._fresh, self._new_ids)
        return self._done("split", body, plan)

    def preview(self, body: Any) -> dict[str, Any]:
        """Return the parts that a split would make, as supervoxels, without an effect."""
        splitter = self._splitter(body)
        try:
            found = splitter.found(self._channel.state, self._channel)
        except SplitRefused as refused:
            return {
                "supervoxel_connected_components": [[], []],
                "illegal_split": True,
                "message": str(refused),
            }
        sides = (found.members[found.sides == side] for side in (SOURCE, SINK))
        parts = [self._graph.ids.tagged(side).tolist() for side in sides]
        return {"supervoxel_connected_components": parts, "illegal_split": False}

    def undo(self, body: Any, again: bool = False) -> dict[str, Any]:
        """Take back the operation ``operation_id``, or do it again."""
        asked = body.get("operation_id") if isinstance(body, dict) else None
        numbers = [whole_number("operation_id", asked, 1)]
        log, change = self._graph.history, redone if again else undone
        # To take back an undo is to do again what it took back.
        (operation,) = log.operations(numbers)
        if operation.undoes and not again:
            numbers, change = list(operation.undoes), redone
        return self._done(
            "redo" if again else "undo",
            body,
            lambda state, **words: change(state, log, numbers, self._fresh, **words),
        )

    def _done(
        self, action: str, body: Any, plan: Callable[..., Operation | None]
    ) -> dict[str, Any]:
        request = Request.parse(action, {"body": body, "user": self._user})
        operation = request.earlier(self._channel) or request.done(
            self._channel,
            lambda state: plan(state, **request.words),
            lambda _: np.empty(0, np.uint64),
            self._most,
        )
        return {"operation_id": operation.id, "new_root_ids": self._graph.made(operation.id)}

    def _splitter(self, body: Any) -> Splitter:
        groups = body if isinstance(body, dict) else {}
        points, start = {}, 0
        for name in ("sources", "sinks"):
            nodes, places = self._nodes(name, groups.get(name))
            points[name] = places[:, ::-1].tolist()
            start = start or int(self._graph.supervoxels(nodes[0])[0])
        return Splitter(self._finder, points, start)

    def _nodes(self, name: str, given: Any) -> tuple[list[int], Floats]:
        """Return the ids and the places (z, y, x, in voxels) of points."""
        if not isinstance(given, list) or not 0 < len(given) <= MOST:
            raise BadRequest(f"{name} is not a list of 1 to {MOST} points [id, x, y, z].")
        for each in given:
            if not isinstance(each, list) or len(each) != 4:
                raise BadRequest(f"The point {each} of {name} is not [id, x, y, z].")
        nodes = [whole_number(name, each[0], 1, 2**64 - 1) for each in given]
        places = [[real_number(name, number) for number in each[:0:-1]] for each in given]
        return nodes, np.array(places) / self._size

    def _supervoxel(self, node: int, point: Floats) -> int:
        """Return the supervoxel that a point means: a point on a mesh has a root."""
        members = self._graph.supervoxels(node)
        if len(members) == 1:
            return int(members[0])
        return self._finder.nearest(self._channel.state, members, point).supervoxel
