"""Numbers in the addresses and bodies of DVID's API."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from bfly.errors import BadRequest
from bfly.geometry import BoundingBox, indexes, zyx
from bfly.protocols.dvid_instances import SIDE
from bfly.queries.cutout import MOST_HALVINGS

if TYPE_CHECKING:
    from bfly.geometry import Zyx

__all__ = ["aligned", "check_count", "point", "points", "scale_of", "whole"]

MOST_BLOCKS = 4096
"""Blocks of a request: 1 GiB of labels."""

_NUMBER = re.compile("-?[0-9]{1,15}")


def aligned(size: Zyx, offset: Zyx) -> list[Zyx]:
    """Return the places of the blocks that a box is divided into."""
    wrong = (s < 1 or s % SIDE or start % SIDE for s, start in zip(size, offset, strict=True))
    if any(wrong):
        raise BadRequest(f"The box is not whole blocks: sizes and offsets are multiples of {SIDE}.")
    box = BoundingBox.of_shape(size, offset).in_tiles((SIDE,) * 3)
    check_count(box.size)
    return list(indexes(box))


def check_count(blocks: int) -> int:
    """Return a number of blocks, if so many may be requested at once."""
    if not 0 < blocks <= MOST_BLOCKS:
        raise BadRequest(f"{blocks} blocks are requested; allowed are 1 to {MOST_BLOCKS}.")
    return blocks


def scale_of(text: str) -> int:
    """Parse a scale."""
    (scale,) = whole(text, "_", 1)
    if not 0 <= scale <= MOST_HALVINGS:
        raise BadRequest(f"The scale {scale} is not 0 to {MOST_HALVINGS}.")
    return scale


def whole(text: str, separator: str, count: int | None = None) -> list[int]:
    """Parse so many whole numbers, or any number of them."""
    words = text.split(separator)
    if not all(map(_NUMBER.fullmatch, words)) or count not in (None, len(words)):
        wanted = f"{count or 'some'} whole numbers, separated by {separator}"
        raise BadRequest(f"{text[:100]!r} is not {wanted}.")
    return [int(word) for word in words]


def point(text: str) -> Zyx:
    """Parse ``x_y_z``."""
    x, y, z = whole(text, "_", 3)
    return z, y, x


def points(body: str) -> list[Zyx]:
    """Parse ``[[x, y, z], …]`` in JSON."""
    try:
        return [zyx((z, y, x)) for x, y, z in _lists(json.loads(body))]
    except (ValueError, TypeError, RecursionError):
        raise BadRequest(f"The body {body[:100]!r} is not points [[x, y, z], …] in JSON.") from None


def _lists(points: Any) -> Any:
    if not isinstance(points, list):
        raise TypeError
    numbers = [number for point in points for number in point]
    if not all(type(number) is int and abs(number) < 2**53 for number in numbers):
        raise ValueError
    return points
