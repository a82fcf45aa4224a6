"""Answers about the edits of a channel: its state, after saving new edits of a client."""

from __future__ import annotations

import threading
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bfly.cutouts.label_stats import unique
from bfly.edits.message import Save, to_message
from bfly.errors import BadRequest, DatabaseError
from bfly.volumes.region import Region

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from bfly.cutouts.cutouts import Cutouts
    from bfly.edits.edits import Edits
    from bfly.edits.state import EditState
    from bfly.queries.info import InfoQuery
    from bfly.segments.segments import Segments
    from bfly.volumes.volume import Volume

    Ids = NDArray[np.uint64]

__all__ = ["EditAnswers"]


class EditAnswers:
    """Answers requests about edits.

    Parameters
    ----------
    edits : Edits
        Edits of all channels.
    cutouts : Cutouts
        Reads volumes.
    limit : int
        Bytes of the largest volume that is read to find its labels. In a larger one, every id
        that fits its voxels is accepted.
    indexed : callable
        Returns the segments of a channel, None if it has no label index. One that is there tells
        the labels of a volume of any size.
    """

    def __init__(
        self,
        edits: Edits,
        cutouts: Cutouts,
        limit: int,
        indexed: Callable[[Volume, EditState | None], Segments | None],
    ) -> None:
        self._edits, self._cutouts, self._limit = edits, cutouts, limit
        self._indexed = indexed
        self._labels: weakref.WeakKeyDictionary[Volume, Ids] = weakref.WeakKeyDictionary()
        self._reading = threading.Lock()

    def answer(self, i_query: InfoQuery, message: Mapping[str, Any]) -> str:
        """Answer a request whose source is set; see `Core.get_edits`.

        Raises
        ------
        DatabaseError
            The channel's edits cannot be opened.
        """
        channel = self._edits.channel(i_query.path)
        has_edits = i_query.volume.kind == "segmentation"
        i_query.state = channel.state if has_edits else channel.at(0)
        try:
            if i_query.method == "websocket:save":
                if not has_edits:
                    raise BadRequest(f"{i_query.path} is an image; only a segmentation has edits.")
                wanted = Save.parse(message)
                self.check(wanted.ids, i_query)
                who, base = i_query.who, i_query.base
                i_query.state = channel.append(partial(wanted.operations, who=who, base=base))
        except (BadRequest, DatabaseError) as error:
            i_query.error = str(error)
        try:
            i_query.merge, i_query.split = to_message(i_query.state)
        except BadRequest as error:
            i_query.error = i_query.error or str(error)
        return i_query.dump

    def check(self, wanted: set[int], query: InfoQuery) -> None:
        """Check ids against the state of a request whose source is set.

        Raises
        ------
        BadRequest
            One is neither a segment nor a supervoxel.
        """
        assert query.state
        ids = np.array(sorted(wanted), np.uint64)
        if (gone := ids[query.state.is_gone(ids)]).size:
            raise BadRequest(f"There is no supervoxel {gone[0]} any more: its patch is taken back.")
        names, edited = query.state.named(ids)[1], query.state.knows(ids)
        ids = ids[~edited & ~np.isin(ids, names)]
        if not len(ids):
            return
        most = np.iinfo(query.volume.dtype).max
        exists = ids <= most
        segments = self._indexed(query.volume, None)
        labels = segments.of(ids)["label"] if segments else self._labels_of(query.volume)
        if labels is not None:
            exists &= np.isin(ids, labels)
        if not exists.all():
            raise BadRequest(f"There is no segment or supervoxel {ids[~exists][0]}.")

    def last_label(self, volume: Volume) -> int | None:
        """Return the largest label of a volume; None if it is too large to be read."""
        labels = self._labels_of(volume)
        return None if labels is None else int(labels[-1:].max(initial=0))

    def _labels_of(self, volume: Volume) -> Ids | None:
        """Return all stored labels of a volume, read once; None if it is too large."""
        whole = volume.level(0).place
        if whole.size * volume.dtype.itemsize > self._limit:
            return None
        with self._reading:
            if volume not in self._labels:
                labels = unique(self._cutouts, Region.of(volume, 0, whole))
                self._labels[volume] = labels.astype(np.uint64)
            return self._labels[volume]
