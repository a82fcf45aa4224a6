"""Answers about meshes that are computed when they are asked for, and kept."""

from __future__ import annotations

import json
import os
from functools import partial
from typing import TYPE_CHECKING, Any

import xxhash

from bfly.concurrency.workers import SingleFlight
from bfly.core.channels import on_current_files
from bfly.core.mesh_files import mesh_file
from bfly.core.supervoxels import reader_of
from bfly.errors import Absent
from bfly.queries.mesh import name_of
from bfly.segments.fragments import encoded, fragments_of, made
from bfly.storage.disk_cache import DiskCache
from bfly.storage.lru_cache import LruCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np

    from bfly.concurrency.workers import Workers
    from bfly.core.segment_answers import SegmentAnswers
    from bfly.cutouts.cutouts import Cutouts
    from bfly.edits.state import EditState
    from bfly.geometry import Zyx
    from bfly.keywords import RUNTIME
    from bfly.queries.mesh import MeshQuery, Named
    from bfly.queries.mesh_file import MeshFileQuery
    from bfly.queries.query import Query
    from bfly.segments.fragments import Fragment
    from bfly.segments.surface import Surface
    from bfly.volumes.volume import Volume

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["MeshAnswers"]

NAME = "meshes"
"""Folder of the fragments within the store of computed mips."""

INFO = {"@type": "neuroglancer_legacy_mesh"}

VERSION = 1
"""Version of the meshes: a change makes all of them anew."""

MOST = 2**64 - 1

LISTED = 16 << 20
"""Bytes of the lists of fragments in memory: a viewer asks for one fragment after the other."""

OF_FRAGMENT = 400
"""Bytes of a fragment besides its members."""


class MeshAnswers:
    """Answers requests for the meshes of channels that store none.

    Parameters
    ----------
    runtime : RUNTIME
        Sets the folder of the fragments and its size.
    cutouts : Cutouts
        Reads voxels; not that of viewers, whose tiles a large mesh would evict.
    keywords : callable
        Returns the metadata of a request's source, as `Core.update_query` does.
    segments : SegmentAnswers
        Has the segments of channels.
    makers : Workers
        Threads that make fragments; not those that wait for them.
    """

    def __init__(
        self,
        runtime: RUNTIME,
        cutouts: Cutouts,
        keywords: Callable[[Query], dict[str, Any]],
        segments: SegmentAnswers,
        makers: Workers,
    ) -> None:
        folder, size = runtime.PYRAMID.FOLDER.VALUE, runtime.PYRAMID.SIZE.VALUE
        self._kept = DiskCache(os.path.join(folder, NAME), size) if folder and size else None
        self._cutouts = cutouts
        self._keywords = keywords
        self._segments = segments
        self._makers = makers
        self._making: SingleFlight[bytes] = SingleFlight()
        self._listed = LruCache(LISTED)

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

    def file(self, query: MeshFileQuery) -> Iterator[bytes]:
        """Return an iterator of the whole mesh of a segment in a file; raises as `mesh_file`.

        It is for a thread of the background.
        """

        def whole(query: MeshFileQuery) -> Iterator[bytes]:
            segments = self._segments.segments(query.volume, query.state)
            return mesh_file(query, segments, partial(self._data, query.volume, query.state))

        return on_current_files(query, self._keywords, whole)

    def _answer(self, query: MeshQuery) -> bytes:
        number = query.manifest_of
        if number is None:
            return self._fragment(query, query.fragment)
        fragments = self.fragments(query.volume, query.state, number)
        if not fragments:
            raise Absent(f"There is no segment {number} in {query.volume.spec.path}.")
        return json.dumps({"fragments": [name_of(number, each) for each in fragments]}).encode()

    def fragments(self, volume: Volume, state: EditState | None, number: int) -> list[Fragment]:
        """Return the fragments of a segment after edits; raises as `answer`."""
        if number > MOST:
            return []
        segments = self._segments.segments(volume, state)
        # An edit elsewhere leaves the members and their voxels as they are.
        members = segments.members(number)
        digest = xxhash.xxh3_128_hexdigest(members.tobytes())
        key = f"{volume.spec.key} {volume.state} {digest}{segments.index.version(members)}"
        listed: _Listed = self._listed.get(key)
        if not listed:
            listed = _Listed(fragments_of(segments, volume, number))
            self._listed.set(key, listed)
        return listed.fragments

    def _fragment(self, query: MeshQuery, named: Named) -> bytes:
        volume = query.volume
        if kept := self._kept_data(_key(volume, named[1:])):
            return kept
        fragments = self.fragments(volume, query.state, named.segment)
        found = [each for each in fragments if _parts(each) == named[1:]]
        if not found:
            raise Absent(f"The segment {named.segment} has no such fragment, or no longer.")
        return self.fragment(volume, query.state, found[0])

    def fragment(
        self,
        volume: Volume,
        state: EditState | None,
        fragment: Fragment,
        encode: Callable[[Surface], bytes] = encoded,
        form: str = "",
    ) -> bytes:
        """Return a fragment, kept or made; raises as `answer`.

        Parameters
        ----------
        volume, state : Volume, EditState or None
            The channel, and the state of its edits.
        fragment : Fragment
            One of `fragments`.
        encode : callable
            Turns it into bytes; the legacy format by default.
        form : str
            Name of the format, if it is another one.
        """
        return self._makers.call(partial(self._data, volume, state, fragment, encode, form))

    def _data(
        self,
        volume: Volume,
        state: EditState | None,
        fragment: Fragment,
        encode: Callable[[Surface], bytes] = encoded,
        form: str = "",
    ) -> bytes:
        key = form + _key(volume, _parts(fragment))

        def make() -> bytes:
            read = reader_of(self._cutouts, volume, state)
            data = encode(made(volume, fragment, read))
            if self._kept:
                self._kept.set(key, data)
            return data

        return self._kept_data(key) or self._making.run(key, make)

    def _kept_data(self, key: str) -> bytes | None:
        return self._kept.get(key) if self._kept else None


def _parts(fragment: Fragment) -> tuple[int, Zyx, str]:
    return fragment.mip, fragment.cell, fragment.digest


def _key(volume: Volume, parts: tuple[object, ...]) -> str:
    """Return the name of a fragment in the folder: other files, edits or mips are others."""
    return f"{VERSION} {volume.spec.key} {volume.state} {parts}"


class _Listed:
    """The fragments of a segment, and the bytes that they take."""

    def __init__(self, fragments: list[Fragment]) -> None:
        self.fragments = fragments
        self.nbytes = sum(OF_FRAGMENT + each.members.nbytes for each in fragments)
