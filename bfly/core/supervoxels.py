"""Supervoxels of any mip after patches, as meshes, skeletons and sparse volumes read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bfly.volumes.region import Region

if TYPE_CHECKING:
    from typing import Any

    import numpy as np

    from bfly.cutouts.cutouts import Cutouts
    from bfly.edits.state import EditState
    from bfly.geometry import BoundingBox
    from bfly.segments.fragments import Read
    from bfly.volumes.volume import Volume

    Voxels = np.ndarray[Any, np.dtype[Any]]

__all__ = ["reader_of", "supervoxels"]


def supervoxels(volume: Volume, mip: int, box: BoundingBox, state: EditState | None) -> Region:
    """Return a region of supervoxels after the patches of a state."""
    return Region.of(volume, mip, box, state.patched if state else None)


def reader_of(cutouts: Cutouts, volume: Volume, state: EditState | None) -> Read:
    """Return a function that reads supervoxels after the patches of a state."""

    def read(mip: int, box: BoundingBox) -> Voxels:
        return cutouts.gather(supervoxels(volume, mip, box, state))

    return read
