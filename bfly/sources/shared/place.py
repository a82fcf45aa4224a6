"""Positions that files state: where the first voxel of a volume is in its dataset.

Programs state the position in a unit of length, as the voxel size. The quotient is a number of
voxels, whatever the unit. Served is a whole number of voxels; a rest is logged.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bfly.geometry import zyx

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bfly.geometry import Zyx

__all__ = ["Position", "index_position", "whole_voxels"]

log = logging.getLogger(__name__)

CLOSE = 1e-3
"""Voxels by which a position may differ from a whole voxel: files hold rounded decimals."""

ROUNDED = 5e-7
"""Part of a position by which it may differ: the quotient of two 32-bit floats does by half."""

TURNED = (
    "its axes are turned in space; they are served as they are stored, and its position is right "
    "only relative to volumes that are turned alike."
)


class Position(NamedTuple):
    """The position of a volume's first voxel, as its file states it.

    Parameters
    ----------
    voxels : sequence of float
        Position (z, y, x) in voxels of the array itself.
    stated_in : str
        The part of the file that states it (``attribute offset``).
    is_point : bool
        Whether it is a point of the first voxel: its centre or, as other programs write, its
        corner. Otherwise it is its corner, or counts from the centre of the dataset's first voxel.
    doubt : str
        What in the file makes the position doubtful, as a sentence; "" if nothing does.
    """

    voxels: Sequence[float]
    stated_in: str
    is_point: bool = False
    doubt: str = ""

    def voxel_at(self) -> Zyx:
        """Return the voxel (z, y, x) that contains the position.

        Raises
        ------
        ArithmeticError, ValueError
            The position is infinite, or not a number.
        """
        return zyx(math.floor(value + _close(value)) for value in self.voxels)


def whole_voxels(path: str, position: Position | None) -> Zyx:
    """Return the position of a volume in whole voxels.

    Parameters
    ----------
    path : str
        Name of the file in the log, which reports a position that is no whole voxel or doubtful.
    position : Position, optional
        As the file states it; (0, 0, 0) if it states none.

    Returns
    -------
    tuple of int
        (z, y, x), in voxels of the array. A point is in this voxel; a corner is nearest to its
        corner.
    """
    if position is None:
        return 0, 0, 0
    try:
        containing = position.voxel_at()
        nearest = zyx(math.ceil(value - 0.5 - _close(value)) for value in position.voxels)
    except (ArithmeticError, ValueError):
        log.warning(
            "%s: %s states the position %s (zyx), which is not three numbers; it is ignored.",
            *(path, position.stated_in, _shown(position.voxels)),
        )
        return 0, 0, 0
    place = containing if position.is_point else nearest
    steps = 2 if position.is_point else 1
    if any(abs(steps * v - round(steps * v)) > steps * _close(v) for v in position.voxels):
        log.warning(
            "%s: %s puts the first voxel at %s voxels (zyx), which is no whole voxel; "
            "it is served at %s.",
            *(path, position.stated_in, _shown(position.voxels), place),
        )
    if position.doubt:
        log.warning("%s: %s", path, position.doubt)
    return place


def index_position(
    origin: Iterable[float], directions: Sequence[Sequence[float]], stated_in: str
) -> Position | None:
    """Return the position of a volume whose axes have directions in space.

    Volumes with the same directions are where they are relative to each other. The directions
    themselves turn nothing.

    Parameters
    ----------
    origin : iterable of float
        Position of the first voxel in space (x, y, z).
    directions : sequence of sequence of float
        For each of the axes x, y and z of the volume, the step in space (x, y, z) from a voxel to
        the next.
    stated_in : str
        As in `Position`.

    Returns
    -------
    Position, optional
        None if the directions do not span the space.
    """
    steps = np.array(directions, float)
    try:
        voxels = np.linalg.solve(steps.T, np.array([*origin], float))
    except (np.linalg.LinAlgError, ValueError):
        return None
    others = np.abs(steps - np.diag(np.abs(np.diag(steps))))
    is_turned = others.max() > CLOSE * np.abs(steps).max() and np.abs(voxels).max() > CLOSE
    return Position(voxels[::-1].tolist(), stated_in, doubt=TURNED if is_turned else "")


def _close(value: float) -> float:
    return min(0.25, CLOSE + ROUNDED * abs(value))


def _shown(values: Sequence[float]) -> str:
    return "(" + ", ".join(f"{value:g}" for value in values) + ")"
