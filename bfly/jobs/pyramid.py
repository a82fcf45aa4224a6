"""Batch computation of the pyramid store, in pieces that any process can run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache, partial, reduce
from typing import TYPE_CHECKING, Any

from bfly.errors import SourceError
from bfly.geometry import BoundingBox, Zyx, indexes, zyx
from bfly.storage.files import Files
from bfly.storage.limits import CHUNK
from bfly.volumes.pyramid_store import Pyramids
from bfly.volumes.volume import Volume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np

    from bfly.volumes.channel import ChannelSpec
    from bfly.volumes.level import Level

__all__ = ["Filled", "Piece", "Task", "do", "pieces", "tiles_of"]

REGION = 256 << 20
"""Bytes of stored voxels that a piece holds at once, unless a single tile needs more."""


@dataclass(frozen=True)
class Task:
    """The channel to fill, and its limits; small, because it is sent to other machines.

    Parameters
    ----------
    spec : ChannelSpec
        The channel.
    allowed : tuple of str
        The allowed folders.
    largest_tile, max_chunk : int
        Maximum bytes of a single tile, and of a chunk that is read.
    folder : str
        Folder of the store.
    size : int
        Maximum bytes of the store.
    """

    spec: ChannelSpec
    allowed: tuple[str, ...]
    largest_tile: int
    folder: str
    size: int
    max_chunk: int = CHUNK

    def open(self) -> Volume:
        """Open the channel; raises as `Volume.open`."""
        files = Files(self.allowed, max_chunk=self.max_chunk)
        pyramids = Pyramids(self.folder, self.size)
        return Volume.open(self.spec, files, self.largest_tile, pyramids)


@dataclass(frozen=True)
class Piece:
    """Tiles of some mips that are computed from one region of stored voxels.

    Parameters
    ----------
    mips : tuple of int
        Mips computed from the same stored mip, the finest first.
    index : tuple of int
        Tile of the last of these mips that covers the region.
    """

    mips: tuple[int, ...]
    index: Zyx


@dataclass(frozen=True)
class Filled:
    """Result of a piece.

    Parameters
    ----------
    computed, there : int
        Tiles that were computed now, and tiles that were kept already.
    error : str
        Reason that other tiles failed; empty if none did.
    failed : int
        Number of tiles that failed.
    """

    computed: int = 0
    there: int = 0
    error: str = ""
    failed: int = 0

    def __add__(self, other: Filled) -> Filled:
        return Filled(
            self.computed + other.computed,
            self.there + other.there,
            self.error or other.error,
            self.failed + other.failed,
        )


def pieces(volume: Volume) -> Iterator[Piece]:
    """Yield the pieces of a channel. Each reads stored voxels once for as many mips as fit."""
    computed = [mip for mip in range(volume.levels) if volume.level(mip).stored != mip]
    while computed:
        first = volume.level(computed[0])
        mips = [mip for mip in computed if _fits(volume, mip, first)] or computed[:1]
        computed = computed[len(mips) :]
        for index in indexes(volume.level(mips[-1]).tiles):
            yield Piece(tuple(mips), index)


def _fits(volume: Volume, mip: int, first: Level) -> bool:
    level = volume.level(mip)
    size = math.prod(level.tile) * math.prod(level.step) * volume.dtype.itemsize
    return level.stored == first.stored and size <= REGION


def tiles_of(volume: Volume, piece: Piece) -> dict[int, BoundingBox]:
    """Return the tile positions of a piece, by mip; each tile is in one piece."""
    last = volume.level(piece.mips[-1])
    positions = {}
    for mip in piece.mips:
        level = volume.level(mip)
        ratio = zyx(a // b for a, b in zip(last.factor, level.factor, strict=True))
        positions[mip] = BoundingBox.of_shape((1, 1, 1), piece.index).refined(ratio) & level.tiles
    return positions


def do(task: Task, piece: Piece) -> Filled:
    """Compute and keep the missing tiles of a piece; wait until they are written.

    A region that cannot be read affects only the tiles that need it.

    Raises
    ------
    SourceError, NotAllowed
        The channel cannot be opened.
    """
    volume = _opened(task)
    tiles = tiles_of(volume, piece)
    total = sum(box.size for box in tiles.values())
    stores = {mip: store for mip in piece.mips if (store := volume.kept(mip))}
    unusable = Filled(failed=total, error=f"{task.folder} cannot be written to")
    if len(stores) < len(piece.mips) or not all(store.usable for store in stores.values()):
        return unusable
    wanted = [(mip, index) for mip, store in stores.items() for index in store.missing(tiles[mip])]
    result = Filled(there=total - len(wanted))
    if not wanted:
        return result
    read = _reader(volume, wanted)
    for mip, index in wanted:
        box = volume.level(mip).tile_box(index)
        try:
            stores[mip].keep(box, volume.level(mip).read(box, volume.kind, read))
        except SourceError as error:
            result += Filled(failed=1, error=str(error))
        else:
            result += Filled(computed=1)
    for store in stores.values():
        store.flush()
    return result if all(store.works for store in stores.values()) else unusable


@lru_cache(maxsize=4)
def _opened(task: Task) -> Volume:
    return task.open()


def _reader(
    volume: Volume, wanted: list[tuple[int, Zyx]]
) -> Callable[[BoundingBox], np.ndarray[Any, np.dtype[Any]]]:
    """Return a reader of stored voxels: one read for all tiles, if it fits and succeeds."""
    levels = [(volume.level(mip), index) for mip, index in wanted]
    union = reduce(
        BoundingBox.joined, (level.finer(level.tile_box(index)) for level, index in levels)
    )
    read = partial(volume.source.read, levels[0][0].stored)
    if union.size * volume.dtype.itemsize > 2 * REGION:
        return read
    try:
        voxels = read(union)
    except SourceError:
        return read
    return lambda box: voxels[box.relative_to(union.start).slices]
