"""Answers about the properties of segments: what the database and the label index have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bfly.connectome.segment_properties import segment_properties, size_properties
from bfly.connectome.sized import Sized
from bfly.core.channels import on_current_files
from bfly.core.segment_answers import CUBIC_MICROMETRE
from bfly.errors import Absent

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from bfly.connectome.connectome import Connectome
    from bfly.core.segment_answers import SegmentAnswers
    from bfly.queries.annotation import AnnotationQuery
    from bfly.queries.query import Query
    from bfly.storage.cache import Cache

__all__ = ["PropertyAnswers"]


class PropertyAnswers:
    """Answers requests for the properties of segments.

    Parameters
    ----------
    keywords : callable
        Returns the metadata of a request's source, as `Core.update_query` does.
    connectome : Connectome
        Source of the rows of neurons.
    segments : SegmentAnswers
        Has the label indexes, which are used where they are there.
    cache : Cache
        Cache of the answers: there may be millions of neurons.
    """

    def __init__(
        self,
        keywords: Callable[[Query], dict[str, Any]],
        connectome: Connectome,
        segments: SegmentAnswers,
        cache: Cache,
    ) -> None:
        self._keywords = keywords
        self._connectome = connectome
        self._segments = segments
        self._cache = cache

    def answer(self, query: AnnotationQuery) -> bytes:
        """Return the properties of the segments of a channel as JSON.

        Raises
        ------
        Absent
            The dataset has no neurons, and the channel no label index.
        SourceError, DatabaseError
            The channel or the rows cannot be read.
        """
        return on_current_files(query, self._keywords, self._answer)

    def _answer(self, query: AnnotationQuery) -> bytes:
        has_neurons = self._connectome.counts(query)["neurons"] > 0
        engine = self._connectome.edited(query)
        sized = self._sized(query)
        if not has_neurons and sized is None:
            raise Absent(f"{query.path} has neither neurons nor, as yet, a label index.")
        path = engine.dataset(query.path) if has_neurons else query.path
        state = query.state.key if query.state else ""
        facts = (
            *(engine.state(path) if has_neurons else "", query.spec.key, state),
            sized and (sized.segments.index.stored.folder, sized.origin, sized.voxel),
        )
        key = f"segment-properties:{path}:{facts}"
        cached: bytes = self._cache.get(key)
        if not cached:
            with self._connectome.turn():
                made = (
                    segment_properties(engine, path, sized)
                    if has_neurons or sized is None
                    else size_properties(sized)
                )
            cached = made.encode()
            self._cache.set(key, cached)
        return cached

    def _sized(self, query: AnnotationQuery) -> Sized | None:
        volume = query.volume
        segments = self._segments.indexed(volume, query.state)
        if segments is None:
            return None
        voxel = float(np.prod(volume.voxel_size)) / CUBIC_MICROMETRE
        return Sized(segments, volume.level(0).origin, voxel if volume.has_voxel_size else None)
