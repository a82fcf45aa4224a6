"""Prefetch the tiles that a panning or scrolling viewer is likely to request next.

Prefetching runs in the background while no request is under way, and stops between two tiles when
one arrives.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from bfly.errors import ButterflyError
from bfly.geometry import zyx

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from bfly.concurrency.workers import Workers
    from bfly.cutouts.tile_loader import TileLoader
    from bfly.geometry import BoundingBox
    from bfly.volumes.region import Region

__all__ = ["Prefetcher"]

log = logging.getLogger(__name__)

LARGEST = 4 << 20
"""Bytes of voxels. A larger request is a bulk copy, not a viewer's."""

PART = 1 / 8
"""Part of the cache that one guess may fill: more would evict the tiles on display."""

GUESSES = 32
"""Most guesses that wait for an idle server; the oldest are dropped."""

FOLLOWED = 4096
"""Requests that are remembered to detect the direction of the next one; also past guesses."""


class Prefetcher:
    """Guesses the next requested tiles from the regions that were sent.

    Parameters
    ----------
    loader : callable
        Returns the loader of a region's tiles.
    workers : Workers
        The background workers.
    memory : int
        Size of the cache, in bytes.

    Attributes
    ----------
    job : Future or None
        The latest run over the guesses; None before the first.
    """

    def __init__(
        self, loader: Callable[[Region], TileLoader], workers: Workers, memory: int
    ) -> None:
        self._loader = loader
        self._workers = workers
        self._most = int(memory * PART)
        self._lock = threading.Lock()
        self._seen: OrderedDict[Any, int] = OrderedDict()
        self._guessed: OrderedDict[Any, None] = OrderedDict()
        self._guesses: list[Region] = []
        self._held = False
        self.job: Future[None] | None = None

    def note(self, region: Region) -> None:
        """Record a region that was sent to a client, and guess the next ones."""
        level, box = region.level, region.box
        if region.nbytes > LARGEST or not level.is_stored:
            return
        name = region.volume.tile_key(level.mip, (0, 0, 0))
        with self._lock:
            for axis in range(3):
                step = self._step(name, box, axis)
                if step and abs(step) <= box.shape[axis]:
                    far = max(abs(step), level.tile[axis])
                    shift = zyx((far if step > 0 else -far) * (i == axis) for i in range(3))
                    self._guess(region, name, box.shift(shift))

    def hold(self) -> None:
        """Stop prefetching: a request is under way."""
        self._held = True

    def go_on(self) -> None:
        """Start to prefetch the guesses: no request is under way."""
        self._held = False
        with self._lock:
            if self._guesses and (self.job is None or self.job.done()):
                self.job = self._workers.executor.submit(self._read)

    def _step(self, name: str, box: BoundingBox, axis: int) -> int:
        """Return the distance from the last box that differs only along the axis; 0 if none."""
        others = tuple(start for i, start in enumerate(box.start) if i != axis)
        start = box.start[axis]
        last = _kept(self._seen, (name, axis, others, box.shape), start)
        return 0 if last is None else start - last

    def _guess(self, region: Region, name: str, box: BoundingBox) -> None:
        level = region.level
        inside = box.relative_to(level.origin) & level.whole
        tiles = inside.in_tiles(level.tile)
        size = tiles.refined(level.tile).size * region.dtype.itemsize
        if not inside.size or size > self._most:
            return
        guess = (name, tiles.start, tiles.stop)
        if guess not in self._guessed:
            _kept(self._guessed, guess, None)
            # Only stored tiles are prefetched; edits are applied on request.
            place = region.at(level.mip, inside.shift(level.origin))
            self._guesses = [*self._guesses[1 - GUESSES :], place]

    def _read(self) -> None:
        while not self._held:
            with self._lock:
                if not self._guesses:
                    return
                region = self._guesses.pop()
            try:
                is_done = self._loader(region).load_all(region, lambda: not self._held)
            except ButterflyError as error:
                # A client that requests these tiles gets the error itself.
                log.debug("Prefetching: %s", error)
                continue
            if not is_done:
                with self._lock:
                    self._guesses.append(region)


def _kept(entries: OrderedDict[Any, Any], key: Any, value: Any) -> Any:
    """Store a value as the latest; return the previous one of its key, or None."""
    last = entries.pop(key, None)
    entries[key] = value
    if len(entries) > FOLLOWED:
        entries.popitem(last=False)
    return last
