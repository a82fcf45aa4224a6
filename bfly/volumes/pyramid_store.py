"""The pyramid store: computed mips on disk, shared by all processes of a machine.

A kept mip is a sharded zarr 3 array of its own. Its inner chunks are the mip's tiles: a stored
tile is complete, a missing one is not computed yet. TensorStore replaces a shard atomically, and
only if no other writer did meanwhile. Neither two writers nor a crash leave a partial tile. A
checksum detects a tile that the disk damaged.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

import tensorstore as ts

from bfly.geometry import indexes
from bfly.storage.bounded_folder import Bound
from bfly.volumes.pause import Pause
from bfly.volumes.pyramid_array import array_spec, context, shard_shape

if TYPE_CHECKING:
    import numpy as np

    from bfly.geometry import BoundingBox, Zyx
    from bfly.keywords import RUNTIME
    from bfly.sources.source import Datasource
    from bfly.volumes.level import Level

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["KeptMip", "Pyramids", "pyramids_of"]

log = logging.getLogger(__name__)

VERSION = 1
"""Version of the computation and storage format: a change invalidates all kept mips."""

DAMAGED = ("DATA_LOSS", "FAILED_PRECONDITION", "INVALID_ARGUMENT", "OUT_OF_RANGE")
"""Prefixes of TensorStore's messages where stored bytes are damaged."""

PENDING = 64
"""Maximum number of pending writes. Beyond it, back-pressure blocks the computing threads."""


class Pyramids:
    """Folder with the computed mips of any number of channels.

    Parameters
    ----------
    folder : str
        Created if missing; several processes may use it at the same time.
    size : int
        Approximate maximum in bytes; the least recently used files are evicted.
    """

    def __init__(self, folder: str, size: int) -> None:
        self.folder = folder
        self._bound = Bound(folder, size, below="c")

    def open(self, source: Datasource, state: str, level: Level) -> KeptMip:
        """Return the kept mip of a level, empty at first.

        Parameters
        ----------
        source : Datasource
            The source that the mip is computed from.
        state : str
            State of the source's files (see `Datasource.state`).
        level : Level
            The mip.
        """
        facts = (
            *(VERSION, os.path.realpath(source.path), state, source.kind, source.dtype.str),
            *(level.scale, level.tile, level.factor, level.step, level.phase, level.whole),
        )
        digest = hashlib.sha256(repr(facts).encode(errors="surrogateescape")).hexdigest()[:32]
        folder = os.path.join(self.folder, digest[:2], digest)
        told = {"path": source.path, "mip": level.mip, "factor": level.factor}
        return KeptMip(array_spec(folder, level, source.dtype, told), folder, level, self._bound)


def pyramids_of(runtime: RUNTIME) -> Pyramids | None:
    """Return the store that the runtime fields name; None if no mips are kept."""
    folder, size = runtime.PYRAMID.FOLDER.VALUE, runtime.PYRAMID.SIZE.VALUE
    return Pyramids(folder, size) if folder and size else None


class KeptMip:
    """One computed mip on disk; safe to use from any thread.

    While its folder is not usable, nothing is kept, and the folder is retried with back-off.

    Parameters
    ----------
    spec : dict
        TensorStore spec of the array.
    folder : str
        The folder of the array.
    level : Level
        The mip.
    bound : Bound
        Counts the written bytes, and limits the size of the folder.
    """

    def __init__(self, spec: dict[str, Any], folder: str, level: Level, bound: Bound) -> None:
        self._spec = spec
        self._folder = folder
        self._level = level
        self._bound = bound
        self._pending: deque[Any] = deque()
        self._pause = Pause()
        self._opening = threading.Lock()
        self._opened: ts.TensorStore | None = None
        self._store()

    def _store(self) -> ts.TensorStore | None:
        """Return the open array; None while the folder is not usable."""
        if self._opened is None and self._pause.over:
            with self._opening:
                if self._opened is None and self._pause.over:
                    self._open()
        return self._opened

    def _open(self) -> None:
        try:
            os.makedirs(self._folder, exist_ok=True)
            opening = ts.open(self._spec, create=True, open=True, context=context())
            self._opened = opening.result()
        except (OSError, ValueError) as error:
            self._fail(error)
        else:
            self._succeed()

    def read(self, box: BoundingBox) -> Voxels | None:
        """Read a box of the mip; return None unless all its tiles are kept.

        Parameters
        ----------
        box : BoundingBox
            Inside the mip, in voxels from the channel's first one.
        """
        if (store := self._store()) is None:
            return None
        try:
            voxels: Voxels = store[box.slices].read().result()
        except ValueError as error:
            if str(error).startswith(DAMAGED):
                log.warning("Kept tiles are damaged and will be computed again: %s", error)
                self._drop(box, store.dtype.numpy_dtype)
            elif not str(error).startswith("NOT_FOUND"):
                log.warning("Kept tiles cannot be read: %s", error)
            return None
        return voxels

    def keep(self, box: BoundingBox, voxels: Voxels) -> None:
        """Write tiles asynchronously.

        Parameters
        ----------
        box : BoundingBox
            Bounds of the tiles. If it cuts through tiles, nothing is kept.
        voxels : numpy.ndarray
            The voxels; the caller must not change them any more.
        """
        level, store = self._level, self._store()
        whole = box == level.unit_box(box.in_tiles(level.tile))
        if store is None or not whole or not self._pause.over:
            return
        written = store[box.slices].write(voxels)
        self._pending.append(written)
        written.add_done_callback(self._look)
        self._bound.add(voxels.nbytes)
        while len(self._pending) > PENDING:
            self._finish_one()

    def flush(self) -> None:
        """Wait until all pending tiles are written, or have failed."""
        while self._pending:
            self._finish_one()

    @property
    def usable(self) -> bool:
        """Whether the folder is usable, or due for a retry."""
        return self._store() is not None and self._pause.over

    @property
    def works(self) -> bool:
        """Whether the last attempt to use the folder succeeded."""
        return not self._pause.failing

    def missing(self, tiles: BoundingBox) -> list[Zyx]:
        """Return the positions of the tiles that are not kept, except those outside the mip.

        Only the indexes of the shards are read; no tile is decoded.
        """
        boxes = {index: self._level.tile_box(index) for index in indexes(tiles & self._level.tiles)}
        if (store := self._store()) is None:
            return list(boxes)
        asked = {
            index: store[box.slices].storage_statistics(query_not_stored=True)
            for index, box in boxes.items()
        }
        return [index for index, answer in asked.items() if _not_stored(answer)]

    def _finish_one(self) -> None:
        try:
            written = self._pending.popleft()
        except IndexError:
            return
        written.exception()

    def _look(self, written: Any) -> None:
        error = written.exception()
        if error is None:
            self._succeed()
        else:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if self._pause.failed():
            log.warning("Computed mips are not kept in %s for now: %s", self._folder, error)

    def _succeed(self) -> None:
        if self._pause.worked():
            log.info("Computed mips are kept in %s again", self._folder)

    def _drop(self, box: BoundingBox, dtype: np.dtype[Any]) -> None:
        """Remove the shards of a box: a damaged shard accepts no new tiles."""
        for index in indexes(box.in_tiles(shard_shape(self._level, dtype))):
            try:
                os.unlink(os.path.join(self._folder, "c", *map(str, index)))
            except OSError as error:
                log.debug("%s", error)


def _not_stored(answer: Any) -> bool:
    try:
        return bool(answer.result().not_stored)
    except ValueError:  # A damaged shard.
        return True
