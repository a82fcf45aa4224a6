"""Missing sections, by their numbers or by the names of their files."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

__all__ = ["name_gaps", "section_gaps"]


def section_gaps(there: Collection[int], stop: int, thick: int = 1) -> Iterator[str]:
    """Yield the ranges of missing sections.

    Parameters
    ----------
    there : collection of int
        Numbers that are present.
    stop : int
        One more than the last expected number.
    thick : int
        Sections per number.

    Yields
    ------
    str
        Such as ``at z 12 to 14``.
    """
    bounds = sorted({-1, stop, *(number for number in there if 0 <= number < stop)})
    for before, after in pairwise(bounds):
        first, last = (before + 1) * thick, after * thick - 1
        if last == first:
            yield f"at z {first}"
        elif last > first:
            yield f"at z {first} to {last}"


def name_gaps(names: Sequence[str]) -> Iterator[str]:
    """Yield the gaps between the numbers in the names of sections.

    Names must differ in one number only, and it must grow by one and the same step in more than
    half of the cases. Otherwise nothing is yielded.

    Parameters
    ----------
    names : sequence of str
        Names in the order of the sections.

    Yields
    ------
    str
        Such as ``between s11.png and s13.png``.
    """
    words = {re.sub(r"\d+", "#", name) for name in names}
    columns = list(zip(*(map(int, re.findall(r"\d+", name)) for name in names), strict=False))
    varying = [column for column in columns if len(set(column)) > 1]
    if len(words) != 1 or len(varying) != 1:
        return
    steps = [after - before for before, after in pairwise(varying[0])]
    (usual, times), *_ = Counter(steps).most_common(1)
    if times * 2 <= len(steps):
        return
    for step, (before, after) in zip(steps, pairwise(names), strict=True):
        if step > usual:
            yield f"between {before} and {after}"
