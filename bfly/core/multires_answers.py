"""Answers about meshes of several resolutions: those of jobs, others computed with one level."""

from __future__ import annotations

import json
import os
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash

from bfly.concurrency.workers import SingleFlight
from bfly.core.channels import on_current_files
from bfly.core.mesh_answers import NAME
from bfly.core.supervoxels import reader_of
from bfly.cutouts.streamed import Stream
from bfly.errors import Absent
from bfly.segments.fragments import fragments_of, made
from bfly.segments.mesh_store import VERSION, MeshStore, StoredMesh
from bfly.segments.multires import INFO, one_fragment, sizes_in
from bfly.segments.segments import members_of, patched_of
from bfly.segments.surface import Surface
from bfly.storage.disk_cache import DiskCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bfly.core.segment_answers import SegmentAnswers
    from bfly.cutouts.cutouts import Cutouts
    from bfly.keywords import RUNTIME
    from bfly.queries.multires import MultiresQuery
    from bfly.queries.query import Query
    from bfly.volumes.volume import Volume

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["MultiresAnswers"]

PIECE = 256 << 10
"""Bytes that are read at once of a stored mesh."""

LENGTH = struct.Struct("<I")
"""Bytes of the index, before it and the fragments, in what is kept of a computed mesh."""


class MultiresAnswers:
    """Answers requests for the meshes of several resolutions.

    Parameters
    ----------
    runtime : RUNTIME
        Sets the folder of the meshes, and the size of those that are computed.
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
        is_on = bool(folder and size)
        self._kept = DiskCache(os.path.join(folder, NAME), size) if is_on else None
        self._store = MeshStore(folder) if is_on else None
        self._cutouts = cutouts
        self._keywords = keywords
        self._segments = segments
        self._making: SingleFlight[bytes] = SingleFlight()

    def has_job(self, volume: Volume) -> bool:
        """Return whether a job for a channel is finished; its files must be unchanged."""
        is_labels = volume.kind == "segmentation"
        return is_labels and self._store is not None and self._store.has_job(volume)

    def answer(self, query: MultiresQuery) -> bytes | Stream:
        """Return a file of the meshes.

        Raises
        ------
        Absent
            There is no such file or segment, or no index of the channel.
        Unfinished, TooLarge, SourceError, BadRequest
            As `SegmentAnswers.segments`.
        MissingLibrary
            The mesh has to be computed, and DracoPy is not installed.
        """
        if query.is_info:
            volume = query.volume
            if not self.has_job(volume) and not self._segments.has_segments(volume):
                raise Absent(f"{volume.spec.path} has no meshes.")
            return json.dumps(INFO).encode()
        return on_current_files(query, self._keywords, self._answer)

    def _answer(self, query: MultiresQuery) -> bytes | Stream:
        volume, segment = query.volume, query.segment
        members, version = members_of(query.state, segment), ""
        # A job reads the stored labels alone.
        is_patched = segment in patched_of(query.state)
        stored = None
        if self._store and not is_patched:
            stored = self._store.find(volume, segment, members)
        if stored is not None:
            return stored.index if query.is_index else _of_job(query, stored)
        if query.state and query.state.patches:
            version = self._segments.segments(volume, query.state).index.version(members)
        digest = f"{members.tobytes()!r}{version}"
        key = f"multires {VERSION} {volume.spec.key} {volume.state} {segment} {digest}"
        kept = self._kept.get(key) if self._kept else None
        both = kept or self._making.run(key, lambda: self._made(query, key))
        (length,) = LENGTH.unpack_from(both)
        index, data = both[LENGTH.size : LENGTH.size + length], both[LENGTH.size + length :]
        return index if query.is_index else _computed(query, index, data)

    def _made(self, query: MultiresQuery, key: str) -> bytes:
        """Return the mesh of a segment: the length of its index, its index, and its fragment."""
        volume = query.volume
        segments = self._segments.segments(volume, query.state)
        read = reader_of(self._cutouts, volume, query.state)
        found = fragments_of(segments, volume, query.segment)
        if not found:
            raise Absent(f"There is no segment {query.segment} in {volume.spec.path}.")
        index, data = one_fragment(_joined([made(volume, each, read) for each in found]))
        both = LENGTH.pack(len(index)) + index + data
        if self._kept:
            self._kept.set(key, both)
        return both


def _joined(meshes: list[Surface]) -> Surface:
    """Return triangles of several meshes as one."""
    counts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    parts = [mesh.triangles + np.uint32(n) for mesh, n in zip(meshes, counts, strict=False)]
    return Surface(np.concatenate([mesh.vertices for mesh in meshes]), np.concatenate(parts))


def _of_job(query: MultiresQuery, mesh: StoredMesh) -> Stream:
    def parts(start: int) -> Iterator[bytes]:
        for at in range(start, mesh.size, PIECE):
            yield mesh.read(at, min(at + PIECE, mesh.size))

    return _stream(query, parts, mesh.size, mesh.tag, frozenset(mesh.cuts.tolist()))


def _computed(query: MultiresQuery, index: bytes, data: bytes) -> Stream:
    cuts = frozenset([0, *np.cumsum(sizes_in(index)).tolist()])
    tag = xxhash.xxh3_128_hexdigest(index + data).encode()
    return _stream(query, lambda start: iter([data[start:]]), len(data), tag, cuts)


def _stream(
    query: MultiresQuery,
    parts: Callable[[int], Iterator[bytes]],
    size: int,
    tag: bytes,
    cuts: frozenset[int],
) -> Stream:
    return Stream(
        parts=parts,
        media_type=query.mime_type,
        size=size,
        group=query.path,
        etag=b'"%s"' % tag,
        cuts=cuts,
    )
