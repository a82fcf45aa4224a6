"""Indexes that are built in the background when they are first needed."""

from __future__ import annotations

import logging
import math
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from bfly.concurrency.threads import starting
from bfly.errors import Absent, Busy, ButterflyError, SourceChanged, SourceError, TooLarge

if TYPE_CHECKING:
    from bfly.segments.building import Build
    from bfly.segments.index import Index
    from bfly.segments.store import Indexes
    from bfly.volumes.volume import Volume

__all__ = ["BackgroundIndexes", "Unfinished"]

log = logging.getLogger(__name__)

LARGEST = 16 << 30
"""Bytes of the voxels of a channel whose index is built without being asked for: minutes."""

PATIENCE = 2.0
"""Seconds for which a request waits for an index: that of a small channel is there by then."""

MOST_AHEAD = 2
"""Indexes that are built at once before they are needed."""

AT_ONCE = 2
"""Pieces of a channel that are read at once, each of `bfly.segments.building.REGION`."""


class Unfinished(Busy):
    """The index is being built; the message has the percentage."""


class BackgroundIndexes:
    """Opens the indexes of channels, and builds those of small ones.

    Parameters
    ----------
    store : Indexes
        The indexes that exist.
    """

    def __init__(self, store: Indexes) -> None:
        self._store = store
        self._running: dict[str, _Running] = {}
        self._failed: set[str] = set()
        self._lock = threading.Lock()

    def of(self, volume: Volume) -> Index:
        """Return the index of a channel, building it if need be.

        Raises
        ------
        Unfinished
            It is being built.
        Absent
            The channel is behind a URL, so that its changes would go unnoticed.
        TooLarge
            It is not built without being asked for.
        SourceError
            The channel cannot be read, or its index is damaged.
        """
        build = self._store.build(volume)
        if build is None:
            raise Absent(f"{volume.spec.path} has no label index: it is a URL.")
        index = self._store.open(build)
        if index is not None:
            return index
        size = _size_of(volume)
        if size > LARGEST:
            raise TooLarge(
                f"{volume.spec.path} has {size} bytes of labels, and no index yet; one is built "
                f"on request for up to {LARGEST}. Run 'bfly index' with the channel's name."
            )
        return self._built(build)

    def start(self, volume: Volume) -> None:
        """Start to build the index of a small channel, unless it is there; do not wait.

        It is not started if others are being built, or if it failed before.

        Raises
        ------
        SourceError
            The index is damaged.
        """
        build = self._store.build(volume)
        if build is None or build.folder in self._failed or _size_of(volume) > LARGEST:
            return
        if len(self._running) < MOST_AHEAD and self._store.open(build) is None:
            with suppress(Busy):
                self._started(build)

    def can_be_there(self, volume: Volume) -> bool:
        """Return whether `of` returns the index of a channel, now or later."""
        build = self._store.build(volume)
        is_built = build is not None and self._store.open(build) is not None
        return is_built or (build is not None and _size_of(volume) <= LARGEST)

    def ready(self, volume: Volume) -> Index | None:
        """Return the index of a channel if it is built; raises as `Indexes.open`.

        Without any index, the files of the channel are not looked at, which may be millions.
        """
        build = self._store.build(volume) if os.path.isdir(self._store.folder) else None
        return self._store.open(build) if build else None

    def percent(self, volume: Volume) -> int | None:
        """Return how much of the index is built: None if it is neither built nor whole."""
        build = self._store.build(volume)
        if build is None:
            return None
        running = self._running.get(build.folder)
        if running is not None:
            return running.percent
        return 100 if self._store.open(build) is not None else None

    def _started(self, build: Build) -> _Running:
        with self._lock:
            running = self._running.get(build.folder)
            if running is None:
                running = _Running(build)
                thread = threading.Thread(target=self._run, args=(running,), daemon=True)
                with starting():
                    thread.start()
                # At its end the thread takes the lock, too.
                self._running[build.folder] = running
        return running

    def _built(self, build: Build) -> Index:
        running = self._started(build)
        running.ended.wait(PATIENCE)
        if isinstance(running.error, OSError):
            raise SourceError(
                f"{build.folder} cannot be written: {running.error}"
            ) from running.error
        if running.error is not None:
            kind = SourceChanged if isinstance(running.error, SourceChanged) else SourceError
            raise kind(str(running.error)) from running.error
        index = self._store.open(build)
        if index is None:
            raise Unfinished(
                f"The label index of {build.spec.path} is being built: {running.percent} % is "
                "done. Ask again in a moment."
            )
        return index

    def _run(self, running: _Running) -> None:
        try:
            running.run()
        except (ButterflyError, OSError) as error:
            log.warning("The label index of %s is not built: %s", running.path, error)
            running.error = error
            self._failed.add(running.build.folder)
        except Exception as error:
            log.exception("The label index of %s is not built", running.path)
            running.error = SourceError(f"{running.path} has no label index: {error!r}")
            self._failed.add(running.build.folder)
        finally:
            with self._lock:
                del self._running[running.build.folder]
            running.ended.set()
        if running.error is None:
            self._store.trim(running.build.folder)


def _size_of(volume: Volume) -> int:
    """Return the bytes of all labels of a channel."""
    return math.prod(volume.source.scales[0].shape) * volume.dtype.itemsize


class _Running:
    """An index that is being built."""

    def __init__(self, build: Build) -> None:
        self.build = build
        self.path = build.spec.path
        self.percent = 0
        self.error: Exception | None = None
        self.ended = threading.Event()

    def run(self) -> None:
        volume = self.build.open()
        pieces = list(self.build.pieces(volume))
        files: list[str] = []
        with ThreadPoolExecutor(AT_ONCE, "bfly-index") as pool:
            for file in pool.map(self.build.do, pieces):
                files.append(file)
                percent = 99 * len(files) // len(pieces)
                if percent // 10 > self.percent // 10:
                    log.info("The label index of %s is built: %d %%", self.path, percent)
                self.percent = percent
        while groups := self.build.groups(files):
            files = [self.build.merge(path, group) for path, group in groups.items()]
        summary = self.build.finish(files)
        log.info("The label index of %s is built: %d labels", self.path, summary.labels)
