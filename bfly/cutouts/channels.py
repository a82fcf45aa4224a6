"""Open channels: each is opened once, and anew when its files change."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeVar

from bfly.concurrency.workers import SingleFlight
from bfly.errors import SourceChanged
from bfly.volumes.pyramid_store import pyramids_of
from bfly.volumes.volume import Volume

if TYPE_CHECKING:
    from collections.abc import Callable

    from bfly.edits.edits import Edits
    from bfly.keywords import RUNTIME
    from bfly.queries.data import DataQuery
    from bfly.queries.query import Query
    from bfly.storage.cache import Cache
    from bfly.storage.files import Files

__all__ = ["Channels"]

log = logging.getLogger(__name__)

T = TypeVar("T")


class Channels:
    """Tells queries what their sources are like.

    Parameters
    ----------
    runtime : RUNTIME
        Sets the largest tile, and where computed mips are kept.
    cache : Cache
        Keeps the keywords of channels.
    files : Files
        The way to every file.
    edits : Edits
        What was done to the segments of channels.
    """

    def __init__(self, runtime: RUNTIME, cache: Cache, files: Files, edits: Edits) -> None:
        self._runtime = runtime
        self._cache = cache
        self._files = files
        self._edits = edits
        self._pyramids = pyramids_of(runtime)
        self._opening: SingleFlight[dict[str, Any]] = SingleFlight()

    def keywords(self, query: Query) -> dict[str, Any]:
        """Give what a query has to know of its source; see `Core.update_query`."""
        keywords: dict[str, Any] = self._cache.get(query.key)
        if not keywords or not keywords["volume"].is_fresh():
            keywords = self._opening.run(query.key, lambda: self._open(query))
        segments = query.is_data and query.labels == "segments"
        if segments and keywords["volume"].kind == "segmentation":
            return {**keywords, "state": self._edits.channel(query.path).state}
        return keywords

    def on_current_files(self, d_query: DataQuery, work: Callable[[DataQuery], T]) -> T:
        """Do work on a query that knows its source; once more if a file changes meanwhile."""
        d_query.update_source(self.keywords(d_query))
        try:
            return work(d_query)
        except SourceChanged as changed:
            log.info("%s", changed)
            d_query.volume.current = False
        d_query.update_source(self.keywords(d_query))
        return work(d_query)

    def _open(self, query: Query) -> dict[str, Any]:
        known: dict[str, Any] = self._cache.get(query.key)
        if known and known["volume"].current:
            changed = known["volume"].look()
            if changed is None:
                return known
            log.info("%s changed on disk; %s is opened anew", changed, query.path)
        largest, meta = self._runtime.CACHE.MAX_BLOCK.VALUE, self._runtime.CACHE.META
        volume = Volume.open(query.spec, self._files, largest, self._pyramids)
        keywords = {**volume.keywords, meta.NAME: meta.VALUE}
        self._cache.set(query.key, keywords)
        return keywords
