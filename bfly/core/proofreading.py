"""Answers about edits over HTTP: merges, splits, undo, redo, and the history."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.core.edit_history import EditHistory
from bfly.core.painter import Painter
from bfly.core.root_ids import RootIds
from bfly.core.split_points import PointSplit, images_of
from bfly.core.splitter import Splitter, points_of
from bfly.edits.cut import cut
from bfly.edits.merge import merged
from bfly.edits.patch import Fresh
from bfly.edits.repeats import Request
from bfly.edits.undo import redone, undone
from bfly.errors import BadRequest
from bfly.geometry import BoundingBox, zyx
from bfly.queries.edits import READ
from bfly.validation import whole_number
from bfly.volumes.region import Region

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from bfly.core.edit_answers import EditAnswers
    from bfly.core.segment_answers import SegmentAnswers
    from bfly.cutouts.cutouts import Cutouts
    from bfly.edits.channel import ChannelEdits
    from bfly.edits.edits import Edits
    from bfly.edits.operation import Operation
    from bfly.queries.edits import EditsQuery
    from bfly.queries.query import Query
    from bfly.volumes.volume import Volume

    Ids = NDArray[np.uint64]
    Plan = Callable[..., Operation | None]

__all__ = ["Proofreading"]

MOST = 10_000
"""Operations, ids or points of a request."""


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
        channel = self._edits.channel(query.path)
        roots = RootIds(self._largest(volume))
        history = EditHistory(channel, roots)
        if query.action in READ:
            return json.dumps(getattr(history, query.action)(query.asked)).encode()
        if query.action == "preview":
            return json.dumps(self._splitter(query).preview(channel)).encode()
        operation = self._done(query, channel, history)
        return json.dumps(history.told(operation)).encode()

    def _largest(self, volume: Volume) -> int:
        """Return the largest label that a channel can have; raises as `SegmentAnswers.segments`."""
        if volume.dtype.itemsize < 8:
            return int(np.iinfo(volume.dtype).max)
        return self._segments.segments(volume, None).index.last

    def _done(self, query: EditsQuery, channel: ChannelEdits, history: EditHistory) -> Operation:
        request = Request.parse(query.action, query.asked)
        plan = self._plan(query, channel, history)
        most = int(np.iinfo(query.volume.dtype).max)
        return request.done(channel, lambda state: plan(state, **request.words), most)

    def _plan(self, query: EditsQuery, channel: ChannelEdits, history: EditHistory) -> Plan:
        """Return a function from a state, and the fields of an operation, to the operation."""
        asked, fresh, log = query.asked, self._fresh(query.volume), channel.history
        if query.action == "paint":
            painter = Painter(query.volume, self._cutouts, asked)
            state = query.state = channel.state
            self._answers.check(painter.ids, query)
            return painter.plan(state, self._new_ids(query.volume))
        if query.action == "merge":
            ids = self._ids(query)
            return lambda state, **words: merged(state, ids, **words)
        if query.action == "split" and asked.get("parts") is None:
            return self._splitter(query).plan(channel, fresh, lambda: self._new_ids(query.volume))
        if query.action == "split":
            parts = _parts(asked)
            return lambda state, **words: cut(state, log, parts, fresh, **words)
        by_user = query.action == "undo" and asked.get("by") is not None
        numbers = history.of_user(asked) if by_user else _numbers("operations", asked)
        numbers = sorted(set(numbers))
        change = redone if query.action == "redo" else undone
        return lambda state, **words: change(state, log, numbers, fresh, **words)

    def _splitter(self, query: EditsQuery) -> Splitter:
        """Return what splits a segment by the points of a request."""
        volume = query.volume
        images = images_of(query.beside, self._keywords)
        segments = self._segments.indexed(volume, None)
        finder = PointSplit(volume, self._cutouts, segments, list(images))
        return Splitter(finder, query.asked)

    def _fresh(self, volume: Volume) -> int:
        """Return an id that no supervoxel has, and that voxels can hold."""
        indexed = self._segments.indexed(volume, None)
        most = int(np.iinfo(volume.dtype).max)
        return (indexed.index.last if indexed else most // 2) + 1

    def _new_ids(self, volume: Volume) -> Fresh:
        """Return ids for supervoxels of patches: above all labels, and below all root ids.

        Raises
        ------
        SourceError, Absent
            There is no label index, and the channel is too large to read all of its labels.
        """
        indexed = self._segments.indexed(volume, None)
        last = indexed.index.last if indexed else self._answers.last_label(volume)
        if last is None:
            last = self._segments.segments(volume, None).index.last
        most = int(np.iinfo(volume.dtype).max)
        return Fresh(last + 1, min(most, RootIds(self._largest(volume)).first - 1))

    def _ids(self, query: EditsQuery) -> list[int]:
        """Return the ids that are to be merged, or the supervoxels at the points."""
        if query.asked.get("points") is None:
            numbers = _numbers("ids", query.asked)
            self._answers.check(set(numbers), query)
        else:
            points = points_of("points", query.asked["points"])
            numbers = [self._supervoxel(query, point) for point in points]
        if len(numbers) < 2:
            raise BadRequest("A merge takes two ids or points at least.")
        return numbers

    def _supervoxel(self, query: EditsQuery, point: NDArray[np.float64]) -> int:
        volume, state = query.volume, self._edits.channel(query.path).state
        place = zyx(np.floor(point).astype(int))
        box = BoundingBox.of_shape((1, 1, 1), place)
        if box not in volume.level(0).place:
            raise BadRequest(f"The point {place[::-1]} (x, y, z) is outside the channel.")
        label = int(self._cutouts.gather(Region.of(volume, 0, box, state.patched)).ravel()[0])
        if label <= 0:
            raise BadRequest(f"At the point {place[::-1]} (x, y, z) is no segment.")
        return label


def _numbers(name: str, asked: Mapping[str, Any]) -> list[int]:
    value = asked.get(name)
    if not isinstance(value, list) or not 0 < len(value) <= MOST:
        raise BadRequest(f"{name} is not a list of 1 to {MOST} whole numbers.")
    return [whole_number(name, each, 1, 2**64 - 1) for each in value]


def _parts(asked: Mapping[str, Any]) -> list[Ids]:
    given = asked.get("parts")
    if not isinstance(given, list) or not given:
        raise BadRequest("A split takes parts: lists of supervoxels.")
    lists = (_numbers("parts", {"parts": part}) for part in given)
    return [np.unique(np.array(part, np.uint64)) for part in lists]
