"""Reading ahead: who pans or scrolls finds the next tiles decoded.

It never makes anybody wait: it is done in the background while nobody waits for an answer,
and stops between two tiles when somebody does.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from bfly.errors import ButterflyError
from bfly.geometry import zyx

if TYPE_CHECKING:
    from concurrent.futures import Future

    from bfly.concurrency.workers import Workers
    from bfly.cutouts.tile_loader import TileLoader
    from bfly.geometry import BoundingBox
    from bfly.queries.data import DataQuery

__all__ = ["Prefetcher"]

log = logging.getLogger(__name__)

LARGEST = 4 << 20
"""Bytes of voxels of a request that may be a viewer's; who copies a volume asks for more."""

PART = 1 / 8
"""How much of the cache the tiles of one guess may take: more would push out what is looked at."""

GUESSES = 32
"""How many are kept until there is time for them; then the oldest is forgotten."""

FOLLOWED = 4096
"""How many requests are remembered, to see where the next one goes, and how many guesses."""


class Prefetcher:
    """Guesses from the requests that were answered which tiles are asked for next.

    Parameters
    ----------
    loader : TileLoader
        Reads and keeps the tiles.
    workers : Workers
        Those of the background.
    memory : int
        Bytes of the cache.

    Attributes
    ----------
    job : Future or None
        The work on the guesses, once there was any.
    """

    def __init__(self, loader: TileLoader, workers: Workers, memory: int) -> None:
        self._loader = loader
        self._workers = workers
        self._most = int(memory * PART)
        self._lock = threading.Lock()
        self._seen: OrderedDict[Any, int] = OrderedDict()
        self._guessed: OrderedDict[Any, None] = OrderedDict()
        self._guesses: list[DataQuery] = []
        self._held = False
        self.job: Future[None] | None = None

    def note(self, d_query: DataQuery) -> None:
        """Take notice of a request that was answered.

        Parameters
        ----------
        d_query : DataQuery
            It knows its source.
        """
        mip, box = d_query.resolution, d_query.box
        level = d_query.volume.level(mip)
        if d_query.nbytes > LARGEST or level.stored != mip:
            return
        name = d_query.volume.tile_key(mip, (0, 0, 0))
        with self._lock:
            for axis in range(3):
                step = self._step(name, box, axis)
                if step and abs(step) <= box.shape[axis]:
                    far = max(abs(step), level.tile[axis])
                    shift = zyx((far if step > 0 else -far) * (i == axis) for i in range(3))
                    self._guess(d_query, name, box.shift(shift))

    def hold(self) -> None:
        """Stop: somebody waits for an answer."""
        self._held = True

    def go_on(self) -> None:
        """Read what is guessed: nobody waits."""
        self._held = False
        with self._lock:
            if self._guesses and (self.job is None or self.job.done()):
                self.job = self._workers.executor.submit(self._read)

    def _step(self, name: str, box: BoundingBox, axis: int) -> int:
        """Tell how far a request lies from the last one that differs along the axis alone."""
        others = tuple(start for i, start in enumerate(box.start) if i != axis)
        start = box.start[axis]
        last = _kept(self._seen, (name, axis, others, box.shape), start)
        return 0 if last is None else start - last

    def _guess(self, d_query: DataQuery, name: str, box: BoundingBox) -> None:
        level = d_query.volume.level(d_query.resolution)
        inside = box.relative_to(level.origin) & level.whole
        tiles = inside.in_tiles(level.tile)
        size = tiles.refined(level.tile).size * d_query.dtype.itemsize
        if not inside.size or size > self._most:
            return
        guess = (name, tiles.start, tiles.stop)
        if guess not in self._guessed:
            _kept(self._guessed, guess, None)
            place = inside.shift(level.origin)
            self._guesses = [*self._guesses[1 - GUESSES :], d_query.part(d_query.resolution, place)]

    def _read(self) -> None:
        while not self._held:
            with self._lock:
                if not self._guesses:
                    return
                d_query = self._guesses.pop()
            try:
                whole = self._loader.load_all(d_query, lambda: not self._held)
            except ButterflyError as error:
                # Who asks for it will be told.
                log.debug("Reading ahead: %s", error)
                continue
            if not whole:
                with self._lock:
                    self._guesses.append(d_query)


def _kept(known: OrderedDict[Any, Any], key: Any, value: Any) -> Any:
    """Keep a value as the latest of so many; give the one that was there, None if none was."""
    last = known.pop(key, None)
    known[key] = value
    if len(known) > FOLLOWED:
        known.popitem(last=False)
    return last
