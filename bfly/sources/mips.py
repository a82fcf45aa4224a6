"""Mips: how much coarser each is than mip 0, and the stored mip that it is computed from.

Mip m always halves y and x m times. Electron microscopy is coarser along z. Therefore z is halved
only once voxels are near isotropic, and only if the voxel size is known. Stored mips are used as
they are.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bfly.errors import SourceError
from bfly.geometry import Scale, ceil_div, zyx

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bfly.geometry import Zyx

__all__ = ["StoredLevel", "VoxelSize", "factor_at", "ladder", "stored_for"]

log = logging.getLogger(__name__)

VoxelSize = tuple[float, float, float]
"""Nanometres (z, y, x)."""

NEAR_ISOTROPIC = math.sqrt(2)
"""Largest ratio of z to y and x at which a voxel is near isotropic: halving y and x once more
would bring it no nearer to 1."""

TOLERANCE = 0.05
"""Relative difference that a stated factor may have from a whole number: programs state the ratio
of two sizes in voxels, rounded up or down."""


def factor_at(mip: int, scales: Mapping[int, Scale], voxel_size: VoxelSize | None) -> Zyx:
    """Return how many voxels of mip 0 make one of a mip, stored or computed.

    Parameters
    ----------
    mip : int
        Any mip.
    scales : mapping
        The stored mips, including 0. A computed mip follows from the nearest finer one, and
        its z factor does not exceed that of the next coarser one.
    voxel_size : tuple of float, optional
        Nanometres (z, y, x) at mip 0; None if unknown, and then z is never halved.
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
    """Return the stored mip that a mip is read or computed from."""
    return max(stored for stored in scales if stored <= mip)


@dataclass(frozen=True, slots=True)
class StoredLevel:
    """A level as a file states it.

    Parameters
    ----------
    shape, chunk : tuple of int
        As in `Scale`.
    ratio : tuple of float, optional
        Size of its voxels relative to those of the finest level (z, y, x); by default, the
        ratio of their shapes.
    origin : tuple of int, optional
        As in `Scale`; by default, that of the finest level.
    """

    shape: Zyx
    chunk: Zyx
    ratio: VoxelSize | None = None
    origin: Zyx | None = None


def ladder(path: str, levels: Mapping[str, StoredLevel]) -> dict[int, tuple[str, Scale]]:
    """Find the mips among the levels of a file.

    Parameters
    ----------
    path : str
        Name of the file in the log, which reports each level that is not a mip.
    levels : mapping
        The levels by their names in the file, the finest first.

    Returns
    -------
    dict
        Name and `Scale` of the level of each mip, mip 0 first.

    Raises
    ------
    SourceError
        There is no level, or the finest one is not mip 0.
    """
    if not levels:
        raise SourceError(f"{path} lists no levels.")
    first, finest = next(iter(levels.items()))
    mips: dict[int, tuple[str, Scale]] = {}
    for name, level in levels.items():
        factor = _factor(finest, level)
        if factor is None:
            log.warning(
                "%s: the level %s, %s voxels (zyx), is skipped: y and x are not those of the "
                "finest level, %s voxels, halved one or more times.",
                *(path, name, level.shape, finest.shape),
            )
            continue
        mip = factor[1].bit_length() - 1
        if mip in mips:
            other = mips[mip][0]
            log.warning("%s: the level %s is skipped: %s is mip %d too.", path, name, other, mip)
            continue
        origin = _origin(path, name, finest.origin or (0, 0, 0), level.origin, factor)
        mips[mip] = name, Scale(level.shape, level.chunk, factor, origin)
    if 0 not in mips:
        raise SourceError(
            f"{path}: the level {first} of {finest.shape} voxels (zyx), {finest.ratio} times as "
            "large as those of the finest, is no mip 0."
        )
    return dict(sorted(mips.items()))


def _origin(path: str, name: str, finest: Zyx, stated: Zyx | None, factor: Zyx) -> Zyx:
    """Return the origin of a level: the stated one, or else that of the finest level."""
    expected = zyx(a // f for a, f in zip(finest, factor, strict=True))
    if stated is None:
        return expected
    # Programs round the position of a level up or down.
    if any(abs(a - b) > 1 for a, b in zip(stated, expected, strict=True)):
        log.warning(
            "%s: the level %s states its first voxel at %s (zyx), and the finest level at %s: it "
            "is not where the voxels are that it shows.",
            *(path, name, stated, finest),
        )
    return stated


def _factor(finest: StoredLevel, level: StoredLevel) -> Zyx | None:
    """Return the factor of a level; None if y and x are not halved alike, or sizes do not fit."""

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
