"""Answers about meshes that are computed when they are asked for, and kept."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from bfly.concurrency.workers import SingleFlight
from bfly.core.channels import on_current_files
from bfly.errors import Absent
from bfly.queries.mesh import name_of
from bfly.segments.fragments import encoded, fragments_of, made
from bfly.storage.disk_cache import DiskCache
from bfly.volumes.region import Region

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from bfly.core.segment_answers import SegmentAnswers
    from bfly.cutouts.cutouts import Cutouts
    from bfly.geometry import BoundingBox
    from bfly.keywords import RUNTIME
    from bfly.queries.mesh import MeshQuery, Named
    from bfly.queries.query import Query
    from bfly.segments.fragments import Fragment
    from bfly.volumes.volume import Volume

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["MeshAnswers"]

NAME = "meshes"
"""Folder of the fragments within the store of computed mips."""

INFO = {"@type": "neuroglancer_legacy_mesh"}

VERSION = 1
"""Version of the meshes: a change makes all of them anew."""

MOST = 2**64 - 1


class MeshAnswers:
    """Answers requests for the meshes of channels that store none.

    Parameters
    ----------
    runtime : RUNTIME
        Sets the folder of the fragments and its size.
    cutouts : Cutouts
        Reads voxels.
    keywords : callable
        Returns the metadata of a request's source, as `Core.update_query` does.
    segments : SegmentAnswers
        Has the segments of channels.
    """

    def __init__(
        self,
        runtime: RUNTIME,
        cutouts: Cutouts,
        keywords: Callable[[Query], dict[str, Any]],
        segments: SegmentAnswers,
    ) -> None:
        folder, size = runtime.PYRAMID.FOLDER.VALUE, runtime.PYRAMID.SIZE.VALUE
        self._kept = DiskCache(os.path.join(folder, NAME), size) if folder and size else None
        self._cutouts = cutouts
        self._keywords = keywords
        self._segments = segments
        self._making: SingleFlight[bytes] = SingleFlight()

    def answer(self, query: MeshQuery) -> bytes:
        """Return a file of the meshes: the info, the fragments of a segment, or one of them.

        Raises
        ------
        Absent
            There is no such file or segment, or no index of the channel.
        Unfinished, TooLarge, SourceError
            As `SegmentAnswers.segments`.
        """
        if query.is_info:
            if not self._segments.has_segments(query.volume):
                raise Absent(f"{query.volume.spec.path} has no meshes.")
            return json.dumps(INFO).encode()
        return on_current_files(query, self._keywords, self._answer)

    def _answer(self, query: MeshQuery) -> bytes:
        number = query.manifest_of
        if number is None:
            return self._fragment(query, query.fragment)
        fragments = self._fragments(query, number)
        if not fragments:
            raise Absent(f"There is no segment {number} in {query.volume.spec.path}.")
        return json.dumps({"fragments": [name_of(number, each) for each in fragments]}).encode()

    def _fragments(self, query: MeshQuery, number: int) -> list[Fragment]:
        if number > MOST:
            return []
        segments = self._segments.segments(query.volume, query.state)
        return fragments_of(segments, query.volume, number)

    def _fragment(self, query: MeshQuery, named: Named) -> bytes:
        volume = query.volume
        key = f"{VERSION} {volume.spec.key} {volume.state} {named[1:]}"
        kept = self._kept.get(key) if self._kept else None
        return kept or self._making.run(key, lambda: self._made(query, named, key))

    def _made(self, query: MeshQuery, named: Named, key: str) -> bytes:
        fragments = self._fragments(query, named.segment)
        found = [each for each in fragments if (each.mip, each.cell, each.digest) == named[1:]]
        if not found:
            raise Absent(f"The segment {named.segment} has no such fragment, or no longer.")
        data = encoded(made(query.volume, found[0], self._reader(query.volume)))
        if self._kept:
            self._kept.set(key, data)
        return data

    def _reader(self, volume: Volume) -> Any:
        def read(mip: int, box: BoundingBox) -> Voxels:
            return self._cutouts.gather(Region.of(volume, mip, box))

        return read
