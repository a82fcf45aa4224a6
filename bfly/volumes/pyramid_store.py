"""The pyramid store: computed mips on disk, which all processes of a machine share.

A kept mip is a sharded zarr 3 array of its own. Its inner chunks are the mip's tiles: one that is
there is whole, one that is not has still to be computed. TensorStore replaces a shard in one step
and only if nobody else did meanwhile, so neither two writers nor a crash leave a tile in parts;
a checksum tells a tile that the disk spoilt.
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
"""Of how voxels are computed and kept: a change of it makes all that was kept unknown."""

DAMAGED = ("DATA_LOSS", "FAILED_PRECONDITION", "INVALID_ARGUMENT", "OUT_OF_RANGE")
"""How TensorStore's messages begin where bytes are not what was written."""

PENDING = 64
"""How many tiles may wait for the disk; then who computes more waits too."""


class Pyramids:
    """A folder with the computed mips of any number of channels.

    Parameters
    ----------
    folder : str
        Made if need be; other processes may use it at the same time.
    size : int
        About how many bytes it may grow to; what was not used for longest goes.
    """

    def __init__(self, folder: str, size: int) -> None:
        self.folder = folder
        self._bound = Bound(folder, size, below="c")

    def open(self, source: Datasource, state: str, level: Level) -> KeptMip:
        """Return a mip as it is kept, empty at first.

        Parameters
        ----------
        source : Datasource
            What the mip is computed from.
        state : str
            That of its files (see `Datasource.state`).
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
    """Give the store that the documented runtime fields name; None where nothing is kept."""
    folder, size = runtime.PYRAMID.FOLDER.VALUE, runtime.PYRAMID.SIZE.VALUE
    return Pyramids(folder, size) if folder and size else None


class KeptMip:
    """One computed mip on disk; safe to use from any thread.

    While its folder cannot be used nothing is kept, and it is tried again now and then.

    Parameters
    ----------
    spec : dict
        The array, as TensorStore takes it.
    folder : str
        Where it is.
    level : Level
        The mip.
    bound : Bound
        Is told what is written.
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
        """Return the open array; None while the folder cannot be used."""
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
        """Give a box of the mip, or None unless all its tiles are kept.

        Parameters
        ----------
        box : BoundingBox
            Counted from the channel's first voxel, inside the mip.
        """
        if (store := self._store()) is None:
            return None
        try:
            voxels: Voxels = store[box.slices].read().result()
        except ValueError as error:
            if str(error).startswith(DAMAGED):
                log.warning("Tiles that were kept are damaged and computed again: %s", error)
                self._drop(box, store.dtype.numpy_dtype)
            elif not str(error).startswith("NOT_FOUND"):
                log.warning("Tiles that were kept cannot be read: %s", error)
            return None
        return voxels

    def keep(self, box: BoundingBox, voxels: Voxels) -> None:
        """Keep tiles, some time soon.

        Parameters
        ----------
        box : BoundingBox
            Where they lie. If it cuts tiles in parts, nothing is kept.
        voxels : numpy.ndarray
            Not to be changed any more.
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
        """Wait until all that was given is on disk, or has failed."""
        while self._pending:
            self._finish_one()

    @property
    def usable(self) -> bool:
        """Whether the folder can be used, or is to be tried again now."""
        return self._store() is not None and self._pause.over

    @property
    def works(self) -> bool:
        """Whether the folder could be used when it was last tried."""
        return not self._pause.failing

    def missing(self, tiles: BoundingBox) -> list[Zyx]:
        """Give the positions of the tiles that are not kept; what lies outside the mip is left out.

        Nothing is decoded: the indexes of the shards tell.
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
        """Remove the shards of a box: they cannot be added to while they are damaged."""
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
