"""The ladder of mips: by how much each is coarser than mip 0, and which stored one it is from.

A mip m always halves y and x m times. Along z, electron microscopy is coarser to begin with, so
z is halved only from the mip on at which voxels are near isotropic, and only where the size of
a voxel is known. What a file has stored is taken as it is.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bfly.errors import SourceError
from bfly.geometry import Scale, ceil_div

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.geometry import Zyx

__all__ = ["StoredLevel", "VoxelSize", "factor_at", "ladder", "stored_for"]

log = logging.getLogger(__name__)

VoxelSize = tuple[float, float, float]
"""Nanometres (z, y, x)."""

NEAR_ISOTROPIC = math.sqrt(2)
"""Up to which ratio of z to y and x a voxel is near isotropic: halving y and x once more would
bring it no nearer."""

TOLERANCE = 0.05
"""By which part a stated factor may differ from the whole number that it stands for; programs
state the ratio of two sizes in voxels, rounded up or down."""


def factor_at(mip: int, scales: Mapping[int, Scale], voxel_size: VoxelSize | None) -> Zyx:
    """Give how many voxels of mip 0 make one of a mip, stored or computed.

    Parameters
    ----------
    mip : int
        Any.
    scales : mapping
        The stored mips, 0 among them. A computed mip follows from the nearest finer one, and
        does not get ahead of the next coarser one.
    voxel_size : tuple of float, optional
        At mip 0; None where it is not known, and then z is never halved.
    """
    stored = stored_for(mip, scales)
    z = scales[stored].factor[0]
    most = min((scale.factor[0] for m, scale in scales.items() if m > mip), default=z << mip)
    if voxel_size is not None:
        across = math.sqrt(voxel_size[1] * voxel_size[2])
        for finer in range(stored, mip):
            near = voxel_size[0] * z <= across * 2**finer * NEAR_ISOTROPIC
            if near and 2 * z <= most:
                z *= 2
    return z, 1 << mip, 1 << mip


def stored_for(mip: int, scales: Mapping[int, Scale]) -> int:
    """Give the stored mip that a mip is read or computed from."""
    return max(stored for stored in scales if stored <= mip)


@dataclass(frozen=True, slots=True)
class StoredLevel:
    """A level as a file states it.

    Parameters
    ----------
    shape, chunk : tuple of int
        As those of `Scale`.
    ratio : tuple of float, optional
        How many times larger its voxels are than those of the finest level (z, y, x); the
        ratio of their shapes unless stated.
    origin : tuple of int
        As that of `Scale`.
    """

    shape: Zyx
    chunk: Zyx
    ratio: VoxelSize | None = None
    origin: Zyx = (0, 0, 0)


def ladder(path: str, levels: Mapping[str, StoredLevel]) -> dict[int, tuple[str, Scale]]:
    """Find the mips among the levels of a file.

    Parameters
    ----------
    path : str
        Names the file in the log, where a level that is no mip is told.
    levels : mapping
        The levels by their names in the file, the finest first.

    Returns
    -------
    dict
        From mip to the name and the `Scale` of its level, mip 0 first.

    Raises
    ------
    SourceError
        There is no level, or the finest one is no mip 0.
    """
    if not levels:
        raise SourceError(f"{path} lists no levels.")
    first, finest = next(iter(levels.items()))
    found: dict[int, tuple[str, Scale]] = {}
    for name, level in levels.items():
        factor = _factor(finest, level)
        if factor is None:
            log.warning(
                "%s: the level %s, %s voxels (zyx), is left out: y and x are not those of the "
                "finest level, %s voxels, halved some times.",
                *(path, name, level.shape, finest.shape),
            )
            continue
        mip = factor[1].bit_length() - 1
        if mip in found:
            other = found[mip][0]
            log.warning("%s: the level %s is left out: %s is mip %d too.", path, name, other, mip)
            continue
        found[mip] = name, Scale(level.shape, level.chunk, factor, level.origin)
    if 0 not in found:
        raise SourceError(
            f"{path}: the level {first} of {finest.shape} voxels (zyx), {finest.ratio} times as "
            "large as those of the finest, is no mip 0."
        )
    return dict(sorted(found.items()))


def _factor(finest: StoredLevel, level: StoredLevel) -> Zyx | None:
    """Give the factor of a level; None if y and x are not halved alike, or sizes do not fit."""

    def fits(axis: int, by: int) -> bool:
        # An odd size is rounded up or down, and a grid that begins before the voxels adds one.
        fine, coarse = finest.shape[axis], level.shape[axis]
        return max(1, fine // by) <= coarse <= ceil_div(fine, by) + 1

    powers, ratio = [1 << k for k in range(32)], level.ratio
    if ratio is None:
        z = next((by for by in powers if fits(0, by)), None)
        across = next((by for by in powers if fits(1, by) and fits(2, by)), None)
        return (z, across, across) if z and across else None
    if not all(0 < by < math.inf for by in ratio):
        return None
    nearest = min(powers, key=lambda by: abs(ratio[1] / by - 1))
    factor = max(1, round(ratio[0])), nearest, nearest
    stated = all(abs(r / f - 1) <= TOLERANCE for r, f in zip(ratio, factor, strict=True))
    return factor if stated and all(fits(axis, factor[axis]) for axis in range(3)) else None
