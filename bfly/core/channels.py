"""Open channels: each is opened once, and again when its files change."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from bfly.concurrency.workers import SingleFlight
from bfly.errors import DatabaseError, SourceChanged
from bfly.volumes.pyramid_store import pyramids_of
from bfly.volumes.volume import Volume

if TYPE_CHECKING:
    from collections.abc import Callable

    from bfly.edits.edits import Edits
    from bfly.edits.state import EditState
    from bfly.keywords import RUNTIME
    from bfly.queries.query import Query
    from bfly.storage.cache import Cache
    from bfly.storage.files import Files
    from bfly.volumes.channel import ChannelSpec
    from bfly.volumes.region import Region

__all__ = ["Channels", "OpenChannel", "on_current_files"]

log = logging.getLogger(__name__)

T = TypeVar("T")
Q = TypeVar("Q", bound="Query")


def on_current_files(
    query: Q, keywords: Callable[[Query], dict[str, Any]], work: Callable[[Q], T]
) -> T:
    """Set the source of a query and call `work`; repeat once if a file changes meanwhile.

    Parameters
    ----------
    query : Query
        Its source need not be set.
    keywords : callable
        Returns the metadata of a query's source, as `Core.update_query` does.
    work : callable
        Takes the query.
    """
    query.update_source(keywords(query))
    try:
        return work(query)
    except SourceChanged as changed:
        log.info("%s", changed)
        query.volume.current = False
    query.update_source(keywords(query))
    return work(query)


@dataclass(frozen=True, slots=True)
class OpenChannel:
    """An open channel, as the cache holds it.

    Parameters
    ----------
    volume : Volume
        The channel.
    keywords : dict
        Its metadata, under the documented names (see `Query.update_source`).
    nbytes : int
        The memory that the cache counts for it.
    is_unsure : bool
        Whether the log of edits could not be asked, so that the channel may have edits.
    """

    volume: Volume
    keywords: dict[str, Any]
    nbytes: int
    is_unsure: bool = False

    @classmethod
    def of(cls, volume: Volume, nbytes: int = 0, is_unsure: bool = False) -> OpenChannel:
        """Return a volume with its keywords."""
        return cls(volume, volume.keywords, nbytes, is_unsure)


class Channels:
    """Opens the channels of queries.

    Parameters
    ----------
    runtime : RUNTIME
        Sets the largest tile, and the folder of computed mips.
    cache : Cache
        Keeps the open channels.
    files : Files
        Opens all files.
    edits : Edits
        Edits of all channels.
    """

    def __init__(self, runtime: RUNTIME, cache: Cache, files: Files, edits: Edits) -> None:
        self._runtime = runtime
        self._cache = cache
        self._files = files
        self._edits = edits
        self._pyramids = pyramids_of(runtime)
        self._opening: SingleFlight[OpenChannel] = SingleFlight()

    def keywords(self, query: Query) -> dict[str, Any]:
        """Return the metadata of a query's source; see `Core.update_query`."""
        channel = self._find(query.spec)
        state = self._state(query, channel.volume)
        return {**channel.keywords, "state": state} if state else channel.keywords

    def basis(self, query: Query) -> tuple[Volume, EditState | None]:
        """Return the volume and the state of edits that a query would be answered from now."""
        volume = self._find(query.spec).volume
        return volume, self._state(query, volume)

    def is_current(self, region: Region) -> bool:
        """Return whether the files of a region are unchanged since its volume was opened."""
        return self._find(region.volume.spec).volume is region.volume

    def _state(self, query: Query, volume: Volume) -> EditState | None:
        is_stored = query.labels == "supervoxels" or volume.kind != "segmentation"
        if is_stored or not query.follows_edits:
            return None
        state = self._edits.channel(query.path).state
        return state.patched if query.labels == "patched" else state

    def _find(self, spec: ChannelSpec) -> OpenChannel:
        key = spec.key
        channel: OpenChannel = self._cache.get(key)
        if not channel or not channel.volume.is_fresh():
            channel = self._opening.run(key, lambda: self._open(spec, key))
        return channel

    def _open(self, spec: ChannelSpec, key: str) -> OpenChannel:
        cached: OpenChannel = self._cache.get(key)
        if cached and cached.volume.current:
            changed = cached.volume.look()
            if changed is None and not (cached.is_unsure and self._has_edits(spec)):
                return cached
            log.info("%s changed; opening %s again", changed or "Its edits", spec.path)
        sizes = self._runtime.CACHE
        volume = Volume.open(spec, self._files, sizes.MAX_BLOCK.VALUE, self._pyramids)
        has_edits = False if spec.kind or volume.dtype.kind == "f" else self._has_edits(spec)
        if has_edits:
            volume.source.is_edited()
        channel = OpenChannel.of(volume, sizes.META.VALUE, has_edits is None)
        self._cache.set(key, channel)
        return channel

    def _has_edits(self, spec: ChannelSpec) -> bool | None:
        """Return whether a channel has edits, which make it a segmentation whatever its voxels.

        None if the log cannot be asked: an image does not wait for its database.
        """
        try:
            return self._edits.has(spec.path)
        except DatabaseError as error:
            log.warning("%s is served by what its voxels look like: %s", spec.path, error)
            return None
