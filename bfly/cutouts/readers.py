"""Reads that bypass the cache: of stored voxels, or of mips computed from them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from bfly.cutouts.plan import check_size
from bfly.metrics import TILES_READ
from bfly.volumes.level import LARGEST_STEP

if TYPE_CHECKING:
    import numpy as np

    from bfly.cutouts.assemble import Assembler
    from bfly.geometry import BoundingBox
    from bfly.volumes.region import Region

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["ComputedMips", "read_stored"]


def read_stored(region: Region, box: BoundingBox) -> Voxels:
    """Read a box of a stored mip from the source; it counts from the channel's first voxel."""
    TILES_READ.inc()
    return region.volume.source.read(region.level.mip, box)


class ComputedMips:
    """Computes voxels of mips that are not stored, or reads them from the pyramid cache on disk.

    Parameters
    ----------
    stored : Assembler
        Assembles the stored voxels that a mip is computed from.
    limit : int
        Bytes of stored voxels to assemble at once; `LARGEST_STEP` or more is used.
    """

    def __init__(self, stored: Assembler, limit: int) -> None:
        self._stored = stored
        self._limit = max(limit, LARGEST_STEP)

    def read(self, region: Region, box: BoundingBox) -> Voxels:
        """Read a box inside the volume; store it on disk if the channel's mips are kept there.

        Parameters
        ----------
        region : Region
            The channel and the mip.
        box : BoundingBox
            The box, counted from the channel's first voxel.

        Raises
        ------
        TooLarge
            The stored voxels of one step exceed the limit.
        """
        volume, level = region.volume, region.level
        kept = volume.kept(level.mip)
        voxels = kept.read(box) if kept else None
        if voxels is None:
            voxels = level.read(box, volume.kind, partial(self._finer, region))
            if kept:
                kept.keep(box, voxels)
        return voxels

    def _finer(self, region: Region, box: BoundingBox) -> Voxels:
        """Assemble a box of the stored mip, counted from the channel's first voxel."""
        mip = region.level.stored
        finer = region.at(mip, box.shift(region.volume.level(mip).origin))
        check_size(finer.box.shape, mip, finer.nbytes, self._limit)
        return self._stored.gather(finer)
