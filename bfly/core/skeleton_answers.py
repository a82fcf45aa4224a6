"""Answers about skeletons that are computed when they are asked for, and kept."""

from __future__ import annotations

import json
import threading
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from bfly.concurrency.admission import check_wanted
from bfly.concurrency.workers import SingleFlight
from bfly.core.channels import on_current_files
from bfly.core.skeleton_nodes import nearest_nodes
from bfly.core.supervoxels import reader_of
from bfly.errors import Absent
from bfly.segments.kept_skeleton import ATTRIBUTES
from bfly.segments.skeletons import make_skeleton
from bfly.segments.swc import json_of, swc_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from bfly.core.segment_answers import SegmentAnswers
    from bfly.cutouts.cutouts import Cutouts
    from bfly.queries.query import Query
    from bfly.queries.skeleton import NodesQuery, SkeletonFileQuery, SkeletonQuery
    from bfly.segments.kept_skeleton import KeptSkeleton
    from bfly.tables.columns import Columns
    from bfly.volumes.volume import Volume

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["SkeletonAnswers"]

INFO = {
    "@type": "neuroglancer_skeletons",
    "transform": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0],
    "vertex_attributes": ATTRIBUTES,
}
"""The ``info`` of skeletons, whose vertices are in nanometres already."""

AT_ONCE = 2
"""Skeletons that are made at once, each in bounded memory; other requests for some wait."""

MOST = 2**64 - 1


class SkeletonAnswers:
    """Answers requests for the skeletons of channels that store none.

    Parameters
    ----------
    cutouts : Cutouts
        Reads voxels.
    keywords : callable
        Returns the metadata of a request's source, as `Core.update_query` does.
    segments : SegmentAnswers
        Has the segments of channels, and their skeletons that are kept.
    """

    def __init__(
        self,
        cutouts: Cutouts,
        keywords: Callable[[Query], dict[str, Any]],
        segments: SegmentAnswers,
    ) -> None:
        self._cutouts = cutouts
        self._keywords = keywords
        self._segments = segments
        self._making: SingleFlight[KeptSkeleton] = SingleFlight()
        self._room = threading.BoundedSemaphore(AT_ONCE)

    def has_skeletons(self, volume: Volume) -> bool:
        """Return whether skeletons of a channel can be computed; scipy may not be installed."""
        return find_spec("scipy") is not None and self._segments.has_segments(volume)

    def file(self, query: SkeletonFileQuery) -> bytes:
        """Return a file of the skeletons: the info, or the skeleton of a segment.

        Raises
        ------
        Absent
            There is no such file or segment, or no index of the channel.
        MissingLibrary
            scipy is not installed.
        Unfinished, TooLarge, SourceError
            As `SegmentAnswers.segments` and `make_skeleton`.
        """
        if query.is_info:
            if not self.has_skeletons(query.volume):
                raise Absent(f"{query.volume.spec.path} has no skeletons.")
            return json.dumps(INFO).encode()
        number = query.segment
        if number is None:
            raise Absent(f"There is no /{query.file} in a volume.")
        return on_current_files(query, self._keywords, lambda q: self.of(q, number).data)

    def text(self, query: SkeletonQuery) -> bytes:
        """Return the skeleton of a segment as SWC or JSON; raises as `file`."""
        number = query.id or 0
        made = on_current_files(query, self._keywords, lambda q: self.of(q, number))
        if query.format == "json":
            return json_of(made, number)
        return swc_of(made, number, query.name or query.path)

    def nodes(self, query: NodesQuery) -> Callable[[Columns], Columns]:
        """Return a function that adds the nearest node to synapses; raises as `file`."""
        number = query.neuron or 0
        made = on_current_files(query.of, self._keywords, lambda q: self.of(q, number))
        return nearest_nodes(made, number, query.of.volume.voxel_size)

    def of(self, query: Query, number: int) -> KeptSkeleton:
        """Return the skeleton of a segment, its source set; raises as `file`."""
        volume = query.volume
        segments = self._segments.segments(volume, query.state)
        if number > MOST:
            raise Absent(f"There is no segment {number} in {volume.spec.path}.")
        members, store = segments.members(number), self._segments.skeletons
        assert store is not None  # since there is an index
        index = segments.index
        kept = store.get(volume, index, members)
        if kept is not None:
            return kept

        def make() -> KeptSkeleton:
            if not len(index.postings(members)):
                raise Absent(f"There is no segment {number} in {volume.spec.path}.")
            with self._room:
                check_wanted()
                read = reader_of(self._cutouts, volume, query.state)
                made = make_skeleton(volume, index, members, read)
            store.set(volume, index, members, made)
            return made

        return self._making.run(store.key(volume, index, members), make)
