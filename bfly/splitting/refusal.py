"""Why a split is refused, in words for a proofreader."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from bfly.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = ["Reason", "SplitRefused", "place_words"]


class Reason(StrEnum):
    """Codes that programs compare."""

    SAME_SUPERVOXEL = "same-supervoxel"
    SAME_VOXEL = "same-voxel"
    INSEPARABLE = "inseparable"
    APART = "apart"
    NOT_ON_SEGMENT = "not-on-segment"
    ONLY_POINTS = "only-points"
    NO_POINTS = "no-points"


class SplitRefused(BadRequest):
    """A split is not possible with these points.

    Parameters
    ----------
    reason : Reason
        The kind of refusal.
    message : str
        What is wrong, and what to do.
    supervoxels : iterable of int
        For `SAME_SUPERVOXEL`, those with points of both groups: a split inside them may work.
    """

    def __init__(self, reason: Reason, message: str, supervoxels: Iterable[int] = ()) -> None:
        super().__init__(message)
        self.reason = reason
        self.supervoxels = tuple(supervoxels)


def place_words(place: Iterable[Any]) -> str:
    """Return a voxel (z, y, x) as the words of a message, x first as viewers show it."""
    z, y, x = map(int, place)
    return f"x {x}, y {y}, z {z}"
