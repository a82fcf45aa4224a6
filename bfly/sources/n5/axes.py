"""Names of the axes of N5 datasets: by ``axes``, or by the counts that ImageJ's plug-in states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["names_of"]

COUNTS = (("numChannels", "c"), ("numSlices", "z"), ("numFrames", "t"))
"""Attributes of https://github.com/saalfeldlab/n5-ij. Axes after x and y are in this order, where
those of one voxel are left out."""


def names_of(attributes: Mapping[str, Any]) -> Sequence[object]:
    """Return the names of the axes of a dataset, in its order; empty if it states none.

    Parameters
    ----------
    attributes : mapping
        Its ``attributes.json``. ``axes`` has a name for each of the dimensions; zarr-python's
        ``_ARRAY_DIMENSIONS`` has them in reverse.
    """
    count = len(attributes["dimensions"])
    match attributes:
        case {"axes": [*names]} if len(names) == count:
            return [name["name"] if isinstance(name, dict) else name for name in names]
        case {"_ARRAY_DIMENSIONS": [*names]} if len(names) == count:
            return names[::-1]
    counts = {letter: attributes.get(key) for key, letter in COUNTS}
    if not all(isinstance(number, int) for number in counts.values()):
        return ()
    long = [letter for letter, number in counts.items() if number != 1]
    sides = [counts[letter] for letter in long]
    return ["x", "y", *long] if sides == attributes["dimensions"][2:] else ()
