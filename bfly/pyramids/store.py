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
from functools import cache
from typing import TYPE_CHECKING, Any

import tensorstore as ts

from bfly.bound import Bound
from bfly.geometry import BoundingBox, Zyx, fit_tile, indexes

if TYPE_CHECKING:
    import numpy as np

    from bfly.keywords import RUNTIME
    from bfly.level import Level
    from bfly.sources.source import Datasource

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["KeptMip", "Pyramids", "pyramids_of"]

log = logging.getLogger(__name__)

VERSION = 1
"""Of how voxels are computed and kept: a change of it makes all that was kept unknown."""

SHARD = 16 << 20
"""Bytes of voxels in a shard: each tile that is added has its whole shard written anew."""

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

    def open(self, source: Datasource, state: str, level: Level) -> KeptMip | None:
        """Give a mip as it is kept, empty at first; None if the folder cannot be used.

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
        try:
            os.makedirs(folder, exist_ok=True)
            spec = _spec(folder, level, source.dtype, told)
            store = ts.open(spec, create=True, open=True, context=_context()).result()
        except (OSError, ValueError) as error:
            log.warning("Computed mips of %s are not kept: %s", source.path, error)
            return None
        return KeptMip(store, folder, level, self._bound)


def pyramids_of(runtime: RUNTIME) -> Pyramids | None:
    """Give the store that the documented runtime fields name; None where nothing is kept."""
    folder, size = runtime.PYRAMID.FOLDER.VALUE, runtime.PYRAMID.SIZE.VALUE
    return Pyramids(folder, size) if folder and size else None


class KeptMip:
    """One computed mip on disk; safe to use from any thread.

    Parameters
    ----------
    store : tensorstore.TensorStore
        The array.
    folder : str
        Where it lies.
    level : Level
        The mip.
    bound : Bound
        Is told what is written.
    """

    def __init__(self, store: ts.TensorStore, folder: str, level: Level, bound: Bound) -> None:
        self._store = store
        self._folder = folder
        self._level = level
        self._bound = bound
        self._pending: deque[Any] = deque()
        self._failed = threading.Event()

    def read(self, box: BoundingBox) -> Voxels | None:
        """Give a box of the mip, or None unless all its tiles are kept.

        Parameters
        ----------
        box : BoundingBox
            Counted from the channel's first voxel, inside the mip.
        """
        try:
            voxels: Voxels = self._store[box.slices].read().result()
        except ValueError as error:
            if str(error).startswith(DAMAGED):
                log.warning("Tiles that were kept are damaged and computed again: %s", error)
                self._drop(box)
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
        level = self._level
        if self._failed.is_set() or box != level.unit_box(box.in_tiles(level.tile)):
            return
        written = self._store[box.slices].write(voxels)
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
    def works(self) -> bool:
        """Whether nothing failed to be written."""
        return not self._failed.is_set()

    def missing(self, tiles: BoundingBox) -> list[Zyx]:
        """Give the positions of the tiles that are not kept; what lies outside the mip is left out.

        Nothing is decoded: the indexes of the shards tell.
        """
        boxes = {index: self._level.tile_box(index) for index in indexes(tiles & self._level.tiles)}
        asked = {
            index: self._store[box.slices].storage_statistics(query_not_stored=True)
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
        if error is not None and not self._failed.is_set():
            self._failed.set()
            log.warning("No more computed mips are kept in %s: %s", self._folder, error)

    def _drop(self, box: BoundingBox) -> None:
        """Remove the shards of a box: they cannot be added to while they are damaged."""
        for index in indexes(box.in_tiles(_shard(self._level, self._store.dtype.numpy_dtype))):
            try:
                os.unlink(os.path.join(self._folder, "c", *map(str, index)))
            except OSError as error:
                log.debug("%s", error)


def _not_stored(answer: Any) -> bool:
    try:
        return bool(answer.result().not_stored)
    except ValueError:  # A damaged shard.
        return True


def _shard(level: Level, dtype: np.dtype[Any]) -> Zyx:
    """Give the shape of a shard, a multiple of the tile."""
    return fit_tile(level.tile, level.whole.shape, dtype.itemsize, SHARD, 1 << 62)


@cache
def _context() -> ts.Context:
    """Give what all stores share: the cache of tiles is the core's, none is held here.

    Nothing waits until a disk confirms that it wrote; what a power failure spoils is noticed by
    its checksum.
    """
    return ts.Context({"cache_pool": {"total_bytes_limit": 0}, "file_io_sync": False})


def _spec(folder: str, level: Level, dtype: np.dtype[Any], told: dict[str, Any]) -> dict[str, Any]:
    little = {"name": "bytes", "configuration": {"endian": "little"}}
    tiles = [
        little if dtype.itemsize > 1 else {"name": "bytes"},
        {"name": "zstd", "configuration": {"level": 1}},
        {"name": "crc32c"},
    ]
    sharding = {
        "chunk_shape": level.tile,
        "codecs": tiles,
        "index_codecs": [little, {"name": "crc32c"}],
    }
    grid = {"chunk_shape": _shard(level, dtype)}
    metadata = {
        "shape": level.whole.shape,
        "data_type": dtype.name,
        "fill_value": 0,
        "chunk_grid": {"name": "regular", "configuration": grid},
        "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
        "dimension_names": ["z", "y", "x"],
        "attributes": {"bfly": told},
    }
    return {
        "driver": "zarr3",
        "kvstore": {"driver": "file", "path": folder + "/"},
        "metadata": metadata,
        # A tile of zeros is written like any other: what is not there was not computed.
        "store_data_equal_to_fill_value": True,
        "fill_missing_data_reads": False,
    }
