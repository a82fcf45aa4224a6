"""Splits in the form of the documented messages: ``id:region:x0:x1:y0:y1:z0:z1``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bfly.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

__all__ = ["Split", "keyed"]

LARGEST = 2**62
"""Highest region and coordinate: coordinates are stored as int64."""

_WHOLE = re.compile("[0-9]{1,4000}")
"""Fewer digits than Python's limit for `int` (4,300), so that `LARGEST` is what fails."""


@dataclass(frozen=True)
class Split:
    """A region of a supervoxel, within a box, that is to be split from it.

    Attributes
    ----------
    supervoxel, region : int
        The key: a later split with the same key replaces this one.
    first, last : tuple of int
        First and last voxel of the box, zyx at mip 0.
    """

    supervoxel: int
    region: int
    first: tuple[int, int, int]
    last: tuple[int, int, int]

    @classmethod
    def parse(cls, text: Any) -> Self:
        """Parse a split.

        Raises
        ------
        BadRequest
            The text is not a valid split.
        """
        parts = text.split(":") if isinstance(text, str) else []
        if len(parts) != 8 or not all(map(_WHOLE.fullmatch, parts)):
            raise BadRequest(
                f"The split {text} is not id:region:x0:x1:y0:y1:z0:z1, eight whole numbers."
            )
        supervoxel, region, x0, x1, y0, y1, z0, z1 = map(int, parts)
        if not 0 < supervoxel < 2**64 or max(region, x1, y1, z1) > LARGEST:
            raise BadRequest(f"The split {text} has a number that is too large, or the id 0.")
        if x0 > x1 or y0 > y1 or z0 > z1:
            raise BadRequest(f"The split {text} has a box that ends before it begins.")
        return cls(supervoxel, region, (z0, y0, x0), (z1, y1, x1))

    @property
    def key(self) -> tuple[int, int]:
        """Supervoxel and region."""
        return self.supervoxel, self.region


def keyed(texts: Iterable[str]) -> dict[tuple[int, int], str]:
    """Return splits by their keys; a later one counts."""
    return {Split.parse(text).key: text for text in texts}
