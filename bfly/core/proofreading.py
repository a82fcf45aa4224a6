"""Answers about edits over HTTP: merges, splits, undo, redo, and the history."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.core.edit_history import EditHistory
from bfly.core.line_answers import LineAnswers
from bfly.core.painter import Painter
from bfly.core.root_ids import RootIds
from bfly.core.split_points import PointSplit
from bfly.core.splitter import Splitter, points_of
from bfly.core.tissue import Tissue
from bfly.edits.branch import channel_of
from bfly.edits.cut import cut
from bfly.edits.merge import merged, merged_at
from bfly.edits.patch import Fresh
from bfly.edits.repeats import Request
from bfly.edits.stored_edges import stored_between
from bfly.edits.undo import redone, undone
from bfly.errors import Absent, BadRequest
from bfly.geometry import BoundingBox, zyx
from bfly.queries.edit_actions import ACTIONS
from bfly.volumes.region import Region

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from bfly.core.edit_answers import EditAnswers
    from bfly.core.segment_answers import SegmentAnswers
    from bfly.cutouts.cutouts import Cutouts
    from bfly.edits.channel import ChannelEdits
    from bfly.edits.edits import Edits
    from bfly.edits.operation import Operation
    from bfly.edits.state import EditState
    from bfly.queries.edits import EditsQuery
    from bfly.queries.query import Query
    from bfly.volumes.volume import Volume

    Ids = NDArray[np.uint64]
    Plan = Callable[..., Operation | None]

__all__ = ["Proofreading"]


class Proofreading:
    """Answers requests of `EditsQuery`.

    Parameters
    ----------
    edits : Edits
        Edits of all channels.
    cutouts : Cutouts
        Reads the supervoxels at points.
    keywords : callable
        Returns the metadata of a request's source, as `Core.update_query` does.
    segments : SegmentAnswers
        Has the label indexes.
    answers : EditAnswers
        Checks that ids exist.
    """

    def __init__(
        self,
        edits: Edits,
        cutouts: Cutouts,
        keywords: Callable[[Query], dict[str, Any]],
        segments: SegmentAnswers,
        answers: EditAnswers,
    ) -> None:
        self._edits, self._cutouts, self._keywords = edits, cutouts, keywords
        self._segments, self._answers = segments, answers

    def answer(self, query: EditsQuery) -> bytes:
        """Return the answer as JSON; all ids in it are text.

        Raises
        ------
        BadRequest
            A word is missing or not allowed, the channel is an image, or the edit makes no sense.
        Absent
            There is no such operation.
        Conflict
            Others have edited the segments meanwhile.
        DatabaseError, SourceError
            The log, or the channel, cannot be read.
        """
        query.update_source(self._keywords(query))
        volume = query.volume
        if volume.kind != "segmentation":
            raise BadRequest(f"{query.path} is an image; only a segmentation has edits.")
        found = self._edits.found(query.path, query.line)
        channel = found.edits
        roots = RootIds(self._largest(volume), channel.ranges)
        history = EditHistory(channel, roots, found.state)
        if query.action in LineAnswers.ACTIONS:
            ids = partial(self.new_ids, volume, channel)
            lines = LineAnswers(self._edits, self._segments, roots, self.fresh(volume), ids)
            return json.dumps(lines.answer(query, found)).encode()
        if ACTIONS[query.action].method == "GET":
            return json.dumps(getattr(history, query.action)(query.asked)).encode()
        if query.action == "preview":
            return json.dumps(self._splitter(query).preview(channel)).encode()
        operation = self._done(query, found.writable, history)
        return json.dumps(history.told(operation)).encode()

    def _largest(self, volume: Volume) -> int:
        """Return the largest label that a channel can have; raises as `SegmentAnswers.segments`."""
        if volume.dtype.itemsize < 8:
            return int(np.iinfo(volume.dtype).max)
        return self._segments.segments(volume, None).index.last

    def _done(self, query: EditsQuery, channel: ChannelEdits, history: EditHistory) -> Operation:
        request = Request.parse(query.action, query.asked)
        if earlier := request.earlier(channel):
            return earlier
        mentioned = partial(self._mentioned, query)
        try:
            plan = self._plan(query, channel, history)
        except (Absent, BadRequest):
            # What was done meanwhile, by the same request or by others, may be why.
            if earlier := request.earlier(channel):
                return earlier
            request.check_seen(channel, channel.state, mentioned)
            raise
        most = int(np.iinfo(query.volume.dtype).max)
        return request.done(channel, lambda state: plan(state, **request.words), mentioned, most)

    def _plan(self, query: EditsQuery, channel: ChannelEdits, history: EditHistory) -> Plan:
        """Return a function from a state, and the fields of an operation, to the operation."""
        asked, fresh, log = query.asked, self.fresh(query.volume), channel.history
        if query.action == "paint":
            painter = Painter(query.volume, self._cutouts, asked)
            state = query.state = channel.state
            self._answers.check(painter.ids, query)
            return painter.plan(state, self.new_ids(query.volume, channel))
        if query.action == "merge":
            return self._merge(query, channel)
        if query.action == "split" and "parts" not in asked:
            fresh_ids = partial(self.new_ids, query.volume, channel)
            return self._splitter(query).plan(channel, fresh, fresh_ids)
        if query.action == "split":
            parts = [np.unique(np.array(part, np.uint64)) for part in asked["parts"]]
            return lambda state, **words: cut(state, log, parts, fresh, **words)
        numbers = history.of_user(asked) if "by" in asked else sorted(set(asked["operations"]))
        change = redone if query.action == "redo" else undone
        return lambda state, **words: change(state, log, numbers, fresh, **words)

    def _mentioned(self, query: EditsQuery, state: EditState) -> Ids:
        """Return supervoxels of the segments that a request mentions by ids or points."""
        asked = query.asked
        found: list[int] = []
        for each in asked.get("ids", ()):
            found += state.standing_for(each)
        found += [part[0] for part in asked.get("parts", ())]
        for name in ("points", "sources", "sinks"):
            if name in asked:
                points = points_of(asked[name])
                labels = (self._label(query.volume, state, point) for point in points)
                found += [label for label in labels if label and label > 0]
        return np.array(found, np.uint64)

    def _splitter(self, query: EditsQuery) -> Splitter:
        """Return what splits a segment by the points of a request."""
        return Splitter(self.finder(query.volume, query.path, query.beside), query.asked)

    def finder(self, volume: Volume, path: str, beside: Sequence[Mapping[str, Any]]) -> PointSplit:
        """Return what finds supervoxels at points, and parts of segments.

        Parameters
        ----------
        volume : Volume
            The segmentation.
        path : str
            Its path.
        beside : sequence of dict
            Words of the other channels of the dataset, which may be affinities, or an image.
        """
        tissue = Tissue(volume, self._cutouts, beside, self._keywords)
        segments = self._segments.indexed(volume, None)
        store = self._edits.edge_store
        stored = None if store is None else partial(stored_between, store, path)
        return PointSplit(volume, self._cutouts, segments, tissue, stored)

    def _last(self, volume: Volume) -> int | None:
        """Return the largest label; None without a label index, if the volume is too large."""
        if indexed := self._segments.indexed(volume, None):
            return indexed.index.last
        labels = self._answers.labels(volume)
        return None if labels is None else int(labels.max(initial=0))

    def fresh(self, volume: Volume) -> int:
        """Return an id from which on no supervoxel has one."""
        last = self._last(volume)
        return (int(np.iinfo(volume.dtype).max) // 2 if last is None else last) + 1

    def new_ids(self, volume: Volume, channel: ChannelEdits) -> Fresh:
        """Return ids for supervoxels of patches: above all labels, and below all root ids.

        Raises
        ------
        SourceError, Absent
            There is no label index, and the channel is too large to read all of its labels.
        """
        last = self._last(volume)
        if last is None:
            last = self._segments.segments(volume, None).index.last
        most = int(np.iinfo(volume.dtype).max)
        roots = RootIds(self._largest(volume), channel.ranges)
        used = self._edits.lines(channel_of(channel).path).patch_ids
        return Fresh(last + 1, min(most, roots.first - 1), used.last)

    def _merge(self, query: EditsQuery, channel: ChannelEdits) -> Plan:
        """Return what joins the segments of ids, or those at points; see `_plan`."""
        if "ids" in query.asked:
            ids: list[int] = query.asked["ids"]
            absent = self._answers.check(set(ids), query)
            _check_two(ids)
            return lambda state, **words: merged(state, ids, absent=absent, **words)
        points = points_of(query.asked["points"])
        _check_two(points)
        labels = [self._supervoxel(query.volume, channel.state, point) for point in points]
        places = np.floor(points).astype(np.int64)
        return lambda state, **words: merged_at(state, labels, places, **words)

    def _supervoxel(self, volume: Volume, state: EditState, point: NDArray[np.float64]) -> int:
        label = self._label(volume, state, point)
        if label is None or label <= 0:
            place = zyx(np.floor(point).astype(int))[::-1]
            if label is None:
                raise BadRequest(f"The point {place} (x, y, z) is outside the channel.")
            raise BadRequest(f"At the point {place} (x, y, z) is no segment.")
        return label

    def _label(self, volume: Volume, state: EditState, point: NDArray[np.float64]) -> int | None:
        """Return the label at a point; None outside the channel."""
        box = BoundingBox.of_shape((1, 1, 1), zyx(np.floor(point).astype(int)))
        if box not in volume.level(0).place:
            return None
        return int(self._cutouts.gather(Region.of(volume, 0, box, state.patched)).ravel()[0])


def _check_two(given: Sequence[Any] | NDArray[Any]) -> None:
    if len(given) < 2:
        raise BadRequest("A merge takes two ids or points at least.")
