"""Coarser levels of an HDF5 volume, as mips."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bfly.errors import SourceError
from bfly.geometry import zyx
from bfly.sources.mips import StoredLevel, ladder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    import numpy as np

    from bfly.geometry import Scale
    from bfly.sources.hdf5.dataset import Hdf5Dataset
    from bfly.sources.mips import VoxelSize

__all__ = ["mips_of"]


def mips_of(
    path: str,
    finest: Scale,
    dtype: np.dtype[Any],
    levels: Sequence[Hdf5Dataset],
    ratios: Sequence[VoxelSize],
) -> dict[int, tuple[Hdf5Dataset, Scale]]:
    """Return the dataset and the `Scale` of each mip but 0; levels that are no mips are reported.

    Parameters
    ----------
    path : str
        Names the file in messages.
    finest : Scale
        Mip 0.
    dtype : numpy.dtype
        Its dtype.
    levels : sequence of Hdf5Dataset
        The coarser levels.
    ratios : sequence of VoxelSize
        As in `Entry`.

    Raises
    ------
    SourceError
        A level has another dtype.
    """
    ratio = (1.0, 1.0, 1.0) if ratios else None
    stored = {"0": StoredLevel(finest.shape, finest.chunk, ratio)}
    for number, level in enumerate(levels):
        if level.dtype != dtype:
            raise SourceError(
                f"{level.path}: {level.name} holds {level.dtype}, the finest level {dtype}: all "
                "must match."
            )
        ratio = ratios[number] if ratios else None
        stored[str(number + 1)] = StoredLevel(level.shape, level.chunk, ratio)
    mips = {}
    for mip, (name, scale) in ladder(path, stored).items():
        if mip:
            origin = zyx(map(int.__floordiv__, finest.origin, scale.factor))
            mips[mip] = levels[int(name) - 1], replace(scale, origin=origin)
    return mips
