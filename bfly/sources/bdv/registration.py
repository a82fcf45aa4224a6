"""Registrations of BigDataViewer: where a view is in space, as far as Butterfly can place it.

A view has several affine transforms, each 3 × 4 numbers by row (x, y, z). The last one is applied
first, to voxels whose centres are whole numbers. Together they are a scale and a translation, or
turn the view, which is not applied here.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from bfly.sources.shared.place import Position

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bfly.sources.mips import VoxelSize

__all__ = ["position_of"]

log = logging.getLogger(__name__)

SMALL = 1e-6
"""Part of the largest number of a matrix that counts as 0: files hold rounded decimals."""

ALIKE = 1e-3
"""Relative difference between the scales of the axes that counts as none."""


def position_of(
    what: str, transforms: Sequence[Sequence[float] | None], voxel_size: VoxelSize | None
) -> Position | None:
    """Return the position of the first voxel (z, y, x), in voxels.

    Parameters
    ----------
    what : str
        Names the view in the log, which reports what is not applied.
    transforms : sequence
        As in `Document`.
    voxel_size : tuple of float, optional
        Nanometres (z, y, x), with which the scale is compared.

    Returns
    -------
    Position, optional
        None without transforms, and for those that turn, shear or mirror the view.
    """
    if not transforms:
        return None
    if None in transforms:
        log.warning("%s: a transform of its registration is no affine one; none is applied.", what)
        return None
    whole = np.eye(4)
    for numbers in transforms:
        whole = whole @ np.vstack([np.reshape(np.array(numbers, float), (3, 4)), [0, 0, 0, 1]])
    matrix, at = whole[:3, :3], whole[:3, 3]
    scale = np.diag(matrix)
    rest = np.abs(matrix - np.diag(scale)).max()
    if not np.isfinite(whole).all() or scale.min() <= 0 or rest > SMALL * np.abs(matrix).max():
        log.warning(
            "%s: its registration is an affine transform that turns, shears or mirrors it. That is "
            "not applied: voxels are served as they are stored, from 0 on.",
            what,
        )
        return None
    ratios = scale[::-1] / (voxel_size or scale[::-1])
    if ratios.max() > ratios.min() * (1 + ALIKE):
        log.warning(
            "%s: its registration scales voxels by %s (zyx), and their size is %s nm: the axes "
            "differ. The size counts.",
            *(what, tuple(map(float, scale[::-1])), voxel_size),
        )
    return Position((at / scale)[::-1].tolist(), "its ViewRegistration")
