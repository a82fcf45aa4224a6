"""An open channel: its source, its place, and all its mips, stored or computed."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

import numpy as np

from bfly import registry
from bfly.downsample import downsample
from bfly.errors import SourceError
from bfly.files import Files
from bfly.geometry import BoundingBox, ceil_div, fit_tile, indexes, zyx

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from bfly.geometry import Zyx
    from bfly.queries.query import Query
    from bfly.sources.source import Datasource

    Voxels = np.ndarray[Any, np.dtype[Any]]
    Read = Callable[[int, BoundingBox], Voxels]

__all__ = ["Volume"]

SMALLEST_TILE = 128 << 10
"""Bytes: smaller chunks are cached several to a tile, since a tile has a cost of its own."""

LARGEST_STEP = 16 << 20
"""Bytes of finer voxels that are held at once while a coarser mip is computed."""

TRUST = 1.0
"""Seconds for which files are taken to be as they were when last looked at."""

DEFAULT_VOXEL_SIZE = (1.0, 1.0, 1.0)
"""Nanometres, where neither the file nor the configuration says."""

_versions = itertools.count()


class Volume:
    """An open channel.

    Boxes here count from the channel's own first voxel. The grid of a computed mip is that
    of the dataset, however: each of its voxels covers whole voxels of a coordinate system
    that is the same for all channels, so that channels with different offsets stay aligned.

    Parameters
    ----------
    source : Datasource
        The open source.
    key : str
        The channel's name in the cache (see `Query.key`).
    offset : tuple of int
        Where the first voxel lies, in voxels of mip 0, zyx.
    largest_tile : int
        Bytes of the largest single tile.

    Attributes
    ----------
    current : bool
        False once a file was found to have changed; then the channel is opened anew.
    """

    def __init__(self, source: Datasource, key: str, offset: Zyx, largest_tile: int) -> None:
        self.source = source
        self.offset = offset
        self.dtype = source.dtype
        self.kind = source.kind
        self.voxel_size = source.voxel_size or DEFAULT_VOXEL_SIZE
        self.current = True
        self._prefix = f"{key}#{next(_versions)}"
        self._due = time.monotonic() + TRUST
        itemsize = self.dtype.itemsize
        self._tiles = [
            fit_tile(scale.chunk, scale.shape, itemsize, SMALLEST_TILE, largest_tile)
            for scale in source.scales
        ]
        self.levels = self._count_levels()

    @classmethod
    def open(cls, query: Query, files: Files | None = None, largest_tile: int = 1 << 20) -> Volume:
        """Open the channel that a query is about.

        Raises
        ------
        SourceError
            No source recognises the path, or the one that does cannot use it.
        NotAllowed
            The path lies outside the allowed folders.
        """
        files = files or Files()
        files.resolve(query.path)
        for source in registry.find("sources").values():
            if source.guess_can_open(query.path):
                opened = source.open(
                    query.path, files=files, kind=query.kind, voxel_size=query.voxel_size
                )
                return cls(opened, query.key, query.offset, largest_tile)
        raise SourceError(
            f"{query.path} is none of the formats {list(registry.names('sources'))}, "
            "or it does not exist."
        )

    @property
    def keywords(self) -> dict[str, Any]:
        """What the channel is like, in the documented words (see `Query.update_source`)."""
        z, y, x = self.source.scales[0].shape
        return {
            "source-type": self.source.name,
            "block-size": [list(tile) for tile in self._tiles],
            "data-type": self.dtype.name,
            "dimensions": {"x": x, "y": y, "z": z},
            "volume": self,
        }

    def is_fresh(self) -> bool:
        """Tell, without a look at the disk, whether the files may be taken as unchanged."""
        return self.current and time.monotonic() < self._due

    def look(self) -> str | None:
        """Look whether a file changed; give its path if so.

        However many files there are, no more than a fiftieth of the time is spent on it.
        """
        start = time.monotonic()
        changed = self.source.changed()
        end = time.monotonic()
        self._due = end + max(TRUST, 50 * (end - start))
        if changed:
            self.current = False
        return changed

    def _stored(self, mip: int) -> int:
        """Give the stored mip that a mip is read or computed from."""
        return min(mip, len(self.source.scales) - 1)

    def factor(self, mip: int) -> Zyx:
        """Give how many stored voxels make a voxel of a mip: (1, 1, 1) where it is stored."""
        halvings = mip - self._stored(mip)
        return 1, 1 << halvings, 1 << halvings

    def origin(self, mip: int) -> Zyx:
        """Give where the channel's first voxel lies in the dataset, rounded down, at a mip."""
        z, y, x = self.offset
        return z, y >> mip, x >> mip

    def _phase(self, mip: int) -> Zyx:
        """Give how many stored voxels the first voxel of a computed mip lacks, zyx."""
        stored, coarse = self.origin(self._stored(mip)), self.origin(mip)
        return zyx(s - c * f for s, c, f in zip(stored, coarse, self.factor(mip), strict=True))

    def shape(self, mip: int) -> Zyx:
        """Give the size of a mip in voxels, zyx; the last ones may stand for fewer voxels."""
        fine = self.source.scales[self._stored(mip)].shape
        return zyx(
            ceil_div(n + p, f)
            for n, p, f in zip(fine, self._phase(mip), self.factor(mip), strict=True)
        )

    def _count_levels(self) -> int:
        """Count the mips until a section is one tile of the usual kind."""
        mip = 0
        while max(self.shape(mip)[1:]) > 64:
            mip += 1
        return max(mip + 1, len(self.source.scales))

    def tile_shape(self, mip: int) -> Zyx:
        """Give the shape of a tile of a mip, zyx."""
        return self._tiles[self._stored(mip)]

    def tiles(self, mip: int) -> BoundingBox:
        """Give all tile positions of a mip."""
        return BoundingBox.of_shape(self.shape(mip)).in_tiles(self.tile_shape(mip))

    def tile_box(self, mip: int, index: Zyx) -> BoundingBox:
        """Give the voxels of a tile, cut off at the volume's end."""
        tile = self.tile_shape(mip)
        start = zyx(i * n for i, n in zip(index, tile, strict=True))
        return BoundingBox.of_shape(tile, start) & BoundingBox.of_shape(self.shape(mip))

    def tile_key(self, mip: int, index: Zyx) -> str:
        """Name a tile in the cache, for this state of the files alone."""
        return f"{self._prefix}/{mip}/{index[0]}.{index[1]}.{index[2]}"

    def unit(self, mip: int, index: Zyx) -> BoundingBox:
        """Give the tiles that are read together with a tile, since one chunk holds them."""
        if mip != self._stored(mip):
            return BoundingBox.of_shape((1, 1, 1), index)
        chunk, tile = self.source.scales[mip].chunk, self.tile_shape(mip)
        tiles = zyx(map(ceil_div, chunk, tile))
        first = zyx(i // n * n for i, n in zip(index, tiles, strict=True))
        return BoundingBox.of_shape(tiles, first) & self.tiles(mip)

    def unit_box(self, mip: int, unit: BoundingBox) -> BoundingBox:
        """Give the voxels of all tiles of a unit."""
        last = (unit.stop[0] - 1, unit.stop[1] - 1, unit.stop[2] - 1)
        return BoundingBox(self.tile_box(mip, unit.start).start, self.tile_box(mip, last).stop)

    def read(self, mip: int, box: BoundingBox, read_stored: Read) -> Voxels:
        """Read a box inside a mip, computing it where it is not stored.

        Parameters
        ----------
        mip : int
            Any number of halvings.
        box : BoundingBox
            Inside the mip.
        read_stored : callable
            Reads a box of a stored mip; it may have the voxels cached.

        Returns
        -------
        numpy.ndarray
            Shape ``box.shape``. Computed voxels are the mean (image) or the mode
            (segmentation) of the stored voxels of the nearest finer mip that they cover.
        """
        stored = self._stored(mip)
        if stored == mip:
            return read_stored(mip, box)
        factor, phase = self.factor(mip), self._phase(mip)
        whole = self.source.scales[stored].box
        result: Voxels | None = None
        step = self._step(box.shape, factor, self._tiles[stored])
        for index in indexes(BoundingBox.of_shape(box.shape).in_tiles(step)):
            start = zyx(b + i * s for b, i, s in zip(box.start, index, step, strict=True))
            part = BoundingBox.of_shape(step, start) & box
            fine = part.refined(factor).relative_to(phase) & whole
            origin = fine.shift(phase).start
            coarse = downsample(read_stored(stored, fine), origin, factor, self.kind)
            if part == box:
                return coarse
            if result is None:
                result = np.empty(box.shape, self.dtype)
            result[part.relative_to(box.start).slices] = coarse
        assert result is not None
        return result

    def _step(self, shape: Zyx, factor: Zyx, fine_tile: Zyx) -> Zyx:
        """Choose how many coarse voxels to compute at once: whole fine tiles, in bounds."""
        step = [min(n, max(1, t // f)) for n, t, f in zip(shape, fine_tile, factor, strict=True)]

        def fine_bytes(step: list[int]) -> int:
            y_x = (step[1] * factor[1]) * (step[2] * factor[2])
            return step[0] * factor[0] * y_x * self.dtype.itemsize

        while step[0] > 1 and fine_bytes(step) > LARGEST_STEP:
            step[0] = ceil_div(step[0], 2)
        for axis in (2, 1, 0):
            while step[axis] < shape[axis] and fine_bytes(step) * 2 <= LARGEST_STEP:
                step[axis] = min(shape[axis], step[axis] * 2)
        return zyx(step)
