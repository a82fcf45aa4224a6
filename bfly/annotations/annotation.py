"""An annotation as it is after a change, and what a client may say of one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["TYPES", "Annotation", "Corner", "ordered", "time_text"]

Corner = tuple[float, float, float]
"""A position zyx, in voxels of mip 0; the voxel [0, 0, 0] reaches from 0 to 1."""

TYPES = {"point": 1, "line": 2, "box": 2}
"""Points of each type."""


class Annotation(NamedTuple):
    """An annotation after one of its changes.

    Parameters
    ----------
    id : int
        Number of the change that created it, from 1 in each dataset.
    revision : int
        Number of this change. All changes of a dataset are counted together.
    action : {"create", "edit", "delete"}
        What was done.
    time, user
        When, in seconds since 1970, and by which name.
    created, creator
        The same of its first change.
    type : {"point", "line", "box"}
        The geometry.
    points : tuple of Corner
        One or two positions; those of a box are its lowest and its highest corner.
    text : str
        A note.
    tags : tuple of str
        Words to find it by.
    done : bool
        Whether it is dealt with, if it is part of a to-do list.
    """

    id: int
    revision: int
    action: str
    time: float
    user: str
    created: float
    creator: str
    type: str
    points: tuple[Corner, ...]
    text: str = ""
    tags: tuple[str, ...] = ()
    done: bool = False

    @property
    def record(self) -> dict[str, Any]:
        """The annotation as JSON, with points x, y, z."""
        return {
            "id": self.id,
            "revision": self.revision,
            "type": self.type,
            "points": [list(point[::-1]) for point in self.points],
            "text": self.text,
            "tags": list(self.tags),
            "done": self.done,
            "user": self.user,
            "time": time_text(self.time),
            "creator": self.creator,
            "created": time_text(self.created),
        }


def ordered(kind: str, points: Sequence[Corner]) -> tuple[Corner, ...]:
    """Return the points of an annotation: those of a box as its lowest and highest corner."""
    if kind != "box":
        return tuple(points)
    (z0, y0, x0), (z1, y1, x1) = points
    low = min(z0, z1), min(y0, y1), min(x0, x1)
    high = max(z0, z1), max(y0, y1), max(x0, x1)
    return low, high


def time_text(seconds: float) -> str:
    """Return a time in ISO 8601, UTC, in whole seconds."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
